package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var silent = slog.New(slog.DiscardHandler)

func testApp(t *testing.T, environ ...string) *app {
	t.Helper()
	cfg, err := configFrom(environ)
	if err != nil {
		t.Fatal(err)
	}
	return newApp(cfg, "box", silent, func(int) {})
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequest(method, target, nil))
	return recorder
}

func TestAnswers(t *testing.T) {
	handler := testApp(t, "COLOR=blue", "TOKEN=secret").handler()
	tests := []struct {
		method, target string
		status         int
		body           string
	}{
		{"GET", "/", 200, "hello, k8s! version " + version + " on box\n"},
		{"HEAD", "/", 200, ""},
		{"POST", "/", 405, "Method Not Allowed\n"},
		{"GET", "/nothing", 404, "404 page not found\n"},
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 200, "ready\n"},
		{"GET", "/env", 200, "COLOR\nTOKEN\n"},
		{"GET", "/env?name=COLOR", 200, "COLOR=blue\n"},
		{"GET", "/env?name=COLOR&name=SHAPE", 404, "SHAPE is not set\n"},
		{"GET", "/alloc?mb=2", 200, "holding 2 MiB\n"},
		{"GET", "/alloc?mb=1", 200, "holding 3 MiB\n"},
		{"GET", "/alloc?mb=0", 200, "holding 0 MiB\n"},
		{"GET", "/alloc?mb=-1", 400, "mb must be a whole number from 0 to 8192\n"},
		{"GET", "/burn?ms=much", 400, "ms must be a whole number from 0 to 60000\n"},
		{"GET", "/crash?code=256", 400, "code must be a whole number from 0 to 255\n"},
		{"GET", "/hang?ms=x", 400, "ms must be a whole number from 0 to 3600000\n"},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			got := ask(handler, test.method, test.target)
			body := got.Body.String()
			if test.method == "HEAD" {
				body = "" // net/http drops it on the wire, the recorder doesn't
			}
			if got.Code != test.status || body != test.body {
				t.Errorf("got %d %q, want %d %q", got.Code, body, test.status, test.body)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for _, wrong := range []string{"PORT=http", "PORT=70000", "START_DELAY=5", "DRAIN_DELAY=-1s"} {
		var stderr bytes.Buffer
		code := run(t.Context(), nil, []string{wrong}, io.Discard, &stderr)
		name, _, _ := strings.Cut(wrong, "=")
		if code != 2 || !strings.Contains(stderr.String(), name) {
			t.Errorf("%s: exit code %d, %q", wrong, code, stderr.String())
		}
	}
	cfg, err := configFrom([]string{"UPSTREAM=back:8080/x"})
	if err != nil || cfg.upstream != "http://back:8080/x" || cfg.port != "8080" {
		t.Errorf("got %+v, %v", cfg, err)
	}
}

func TestCommands(t *testing.T) {
	tests := []struct {
		args   []string
		code   int
		stdout string
	}{
		{[]string{"version"}, 0, version + "\n"},
		{[]string{"help"}, 2, ""},
		{[]string{"version", "please"}, 2, ""},
	}
	for _, test := range tests {
		var stdout bytes.Buffer
		code := run(t.Context(), test.args, []string{"VERSION=9"}, &stdout, io.Discard)
		if code != test.code || stdout.String() != test.stdout {
			t.Errorf("%q: exit code %d, printed %q", test.args, code, stdout.String())
		}
	}
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := testApp(t, "START_DELAY=5s")
		handler := app.handler()
		steps := []struct {
			what   string
			do     func()
			status int
			body   string
		}{
			{"at the start", func() {}, 503, "starting\n"},
			{"just before the delay ends", func() { time.Sleep(5*time.Second - 1) }, 503, "starting\n"},
			{"after it", func() { time.Sleep(1) }, 200, "ready\n"},
			{"while draining", func() { app.draining.Store(true) }, 503, "draining\n"},
		}
		for _, step := range steps {
			step.do()
			if got := ask(handler, "GET", "/readyz"); got.Code != step.status || got.Body.String() != step.body {
				t.Errorf("%s: got %d %q", step.what, got.Code, got.Body)
			}
			if got := ask(handler, "GET", "/healthz"); got.Code != 200 {
				t.Errorf("%s: /healthz says %d: not ready must not mean dead", step.what, got.Code)
			}
		}
	})
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := testApp(t).handler()
		begin := time.Now()
		ask(handler, "GET", "/hang?ms=700")
		ask(handler, "GET", "/healthz")
		if took := time.Since(begin); took != 700*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
		ask(handler, "GET", "/hang")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, "GET", "/healthz", nil))
		if recorder.Body.Len() > 0 {
			t.Errorf("answered %q", recorder.Body)
		}
	})
}

func TestCall(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/teapot" {
			w.WriteHeader(http.StatusTeapot)
		}
		io.WriteString(w, "from the back")
	}))
	defer back.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	tests := []struct {
		upstream string
		code     int
		want     called
	}{
		{back.URL, 200, called{back.URL, 200, "from the back", ""}},
		{back.URL + "/teapot", 200, called{back.URL + "/teapot", 418, "from the back", ""}},
		{strings.TrimPrefix(back.URL, "http://"), 200, called{back.URL, 200, "from the back", ""}},
		{closed.URL, 502, called{closed.URL, 0, "", "connection refused"}},
		{"", 502, called{"", 0, "", "UPSTREAM is not set"}},
	}
	for _, test := range tests {
		got := ask(testApp(t, "UPSTREAM="+test.upstream).handler(), "GET", "/call")
		var answer called
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%q: %v", got.Body, err)
		}
		if strings.HasSuffix(answer.Error, test.want.Error) && test.want.Error != "" {
			answer.Error = test.want.Error
		}
		if got.Code != test.code || answer != test.want {
			t.Errorf("%s: got %d %+v, want %d %+v", test.upstream, got.Code, answer, test.code, test.want)
		}
	}
}

func TestBurnStopsWithTheRequest(t *testing.T) {
	if got := ask(testApp(t).handler(), "GET", "/burn?ms=1").Body.String(); !strings.HasPrefix(got, "burned 1 ms: ") {
		t.Errorf("got %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	recorder := httptest.NewRecorder()
	testApp(t).handler().ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, "GET", "/burn?ms=60000", nil))
	if got := recorder.Body.String(); !strings.HasSuffix(got, ": 0 hashes\n") {
		t.Errorf("went on without a client: %q", got)
	}
}

func TestCrashAnswersFirst(t *testing.T) {
	app, code := testApp(t), -1
	app.exit = func(c int) { code = c }
	got := ask(app.handler(), "GET", "/crash?code=3")
	if code != 3 || !got.Flushed || got.Body.String() != "crashing with exit code 3\n" {
		t.Errorf("exit code %d, flushed %v, body %q", code, got.Flushed, got.Body)
	}
}

func TestMetrics(t *testing.T) {
	handler := testApp(t).handler()
	for _, target := range []string{"/", "/", "/a", "/b", "/env?name=X"} {
		ask(handler, "GET", target)
	}
	got := ask(handler, "GET", "/metrics")
	for _, line := range []string{
		`go_app_info{version="` + version + `"} 1`,
		`go_app_ready 1`,
		`# TYPE http_requests_total counter`,
		`http_requests_total{path="/",status="200"} 2`,
		`http_requests_total{path="other",status="404"} 2`,
		`http_requests_total{path="/env",status="404"} 1`,
	} {
		if !strings.Contains(got.Body.String(), line+"\n") {
			t.Errorf("no line %s in\n%s", line, got.Body)
		}
	}
	if kind := got.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", kind)
	}
}

// TestGracefulStop runs the whole program: healthcheck, then a signal while a request is in hand.
func TestGracefulStop(t *testing.T) {
	port := freePort(t)
	environ := []string{"PORT=" + port, "DRAIN_DELAY=150ms"}
	if code := run(t.Context(), []string{"healthcheck"}, environ, io.Discard, io.Discard); code != 1 {
		t.Errorf("healthcheck without a server: exit code %d", code)
	}
	ctx, signal := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	lines, log := io.Pipe()
	go func() { ended <- run(ctx, nil, environ, log, io.Discard) }()
	awaitLine(t, lines, "listening")
	if code := run(t.Context(), []string{"healthcheck"}, environ, io.Discard, io.Discard); code != 0 {
		t.Errorf("healthcheck: exit code %d", code)
	}
	base := "http://127.0.0.1:" + port
	slow := make(chan string, 1)
	go func() {
		_, body, err := get(t.Context(), http.DefaultClient, base+"/burn?ms=400")
		slow <- body + errorText(err)
	}()
	time.Sleep(50 * time.Millisecond)
	signal()
	awaitLine(t, lines, "draining")
	if status, body, err := get(t.Context(), http.DefaultClient, base+"/readyz"); status != 503 || body != "draining\n" {
		t.Errorf("while draining /readyz says %d %q %v", status, body, err)
	}
	if status, _, err := get(t.Context(), http.DefaultClient, base+"/"); status != 200 {
		t.Errorf("while draining / says %d %v", status, err)
	}
	if body := <-slow; !strings.HasPrefix(body, "burned 400 ms") {
		t.Errorf("the request in hand was lost: %q", body)
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// awaitLine reads the program's log until a line contains the word, and goes on emptying the pipe afterwards.
func awaitLine(t *testing.T, lines *io.PipeReader, word string) {
	t.Helper()
	var seen bytes.Buffer
	buffer := make([]byte, 4096)
	for !strings.Contains(seen.String(), word) {
		n, err := lines.Read(buffer)
		if err != nil {
			t.Fatalf("log ended before %q: %s", word, seen.String())
		}
		seen.Write(buffer[:n])
	}
	if word == "draining" {
		go io.Copy(io.Discard, lines)
	}
}

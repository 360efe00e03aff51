// Probe asks HTTP questions from where a learner's program can be reached, and answers in JSON.
//
//	probe serve                           GET :8080/fetch?url=…&n=…&timeout=…   (the probe Pod)
//	probe fetch [-n N] [-timeout S] URL   the same list on standard output      (a nested engine)
//
// Every request is made on a connection of its own, so that each one is balanced anew.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	maxRequests = 1000
	maxTimeout  = 60 * time.Second
	maxBody     = 64 << 10
	atOnce      = 16
)

// An answer is what one request got. Status is 0 and Error is set where nothing answered.
type answer struct {
	Status  int               `json:"status"`
	Body    string            `json:"body"`
	Error   string            `json:"error"`
	Seconds float64           `json:"seconds"`
	Headers map[string]string `json:"headers"`
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(2)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "serve" {
		return serve(":8080")
	}
	if len(args) == 0 || args[0] != "fetch" {
		return errors.New("usage: probe serve | probe fetch [-n N] [-timeout S] URL")
	}
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	n := flags.Int("n", 1, "how many requests")
	timeout := flags.Float64("timeout", 5, "seconds for each request")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("exactly one URL is needed")
	}
	answers, err := fetch(context.Background(), flags.Arg(0), *n, *timeout)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(answers)
}

// serve listens until SIGTERM and then lets running requests finish.
func serve(address string) error {
	server := &http.Server{Addr: address, Handler: handler(), ReadHeaderTimeout: 5 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	go func() {
		<-stop.Done()
		limit, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		server.Shutdown(limit)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /fetch", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		n, err := strconv.Atoi(or(query.Get("n"), "1"))
		if err != nil {
			http.Error(w, "n: "+err.Error(), http.StatusBadRequest)
			return
		}
		timeout, err := strconv.ParseFloat(or(query.Get("timeout"), "5"), 64)
		if err != nil {
			http.Error(w, "timeout: "+err.Error(), http.StatusBadRequest)
			return
		}
		answers, err := fetch(r.Context(), query.Get("url"), n, timeout)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(answers)
	})
	return mux
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// fetch makes n GET requests of target, at most atOnce at a time, and returns what each of them got.
func fetch(ctx context.Context, target string, n int, seconds float64) ([]answer, error) {
	limit := time.Duration(seconds * float64(time.Second))
	if n < 1 || n > maxRequests {
		return nil, fmt.Errorf("n must be 1 to %d", maxRequests)
	}
	if limit <= 0 || limit > maxTimeout {
		return nil, fmt.Errorf("timeout must be above 0 and at most %v", maxTimeout)
	}
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	if parsed.Scheme != "http" || parsed.Host == "" {
		return nil, errors.New("the URL must begin with http:// and name a host")
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answers := make([]answer, n)
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range answers {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			answers[i] = ask(ctx, client, target, limit)
		})
	}
	all.Wait()
	return answers, nil
}

func ask(ctx context.Context, client *http.Client, target string, limit time.Duration) answer {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	got := answer{Headers: map[string]string{}}
	err := got.fill(ctx, client, target)
	got.Seconds = time.Since(begun).Seconds()
	if err != nil {
		got.Error = plain(err, limit)
	}
	return got
}

func (got *answer) fill(ctx context.Context, client *http.Client, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "hello-k8s-probe")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	got.Status = response.StatusCode
	got.Body = string(body)
	for name, values := range response.Header {
		got.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return err
}

// plain says an error without Go's wrapping, and a time-out always in the same words.
func plain(err error, limit time.Duration) string {
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		return fmt.Sprintf("timeout: no answer within %v", limit)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}

// Command go-app is the small web server that every chapter builds, ships and breaks.
//
//	go-app               serve until SIGTERM or SIGINT
//	go-app healthcheck   ask the server in the same container whether it is alive: exit code 0 or 1
//	go-app version       print the version
//
// Read from the environment: PORT (8080), START_DELAY and DRAIN_DELAY (durations such as 5s: how long it isn't
// ready after the start, and how long it goes on serving after the signal to stop), UPSTREAM (what /call asks).
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// version is part of the program, not of its environment: what / says is what was compiled, so an answer proves
// which source an image was built from. Two versions are two images, built from sources that differ in this line.
const version = "1.0.0"

const (
	upstreamTimeout = 3 * time.Second
	shutdownTimeout = 10 * time.Second
	upstreamLimit   = 64 << 10 // bytes of an upstream's answer that /call passes on
	maxBurn         = 60_000   // ms
	maxAlloc        = 8_192    // MiB
	forever         = 1<<63 - 1
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is main with everything injected; it returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	cfg, err := configFrom(environ)
	if err != nil {
		fmt.Fprintln(stderr, "go-app:", err)
		return 2
	}
	switch strings.Join(args, " ") {
	case "":
		err = serve(ctx, cfg, slog.New(slog.NewTextHandler(stdout, nil)))
	case "healthcheck":
		err = healthcheck(ctx, cfg)
	case "version":
		fmt.Fprintln(stdout, version)
	default:
		fmt.Fprintln(stderr, "usage: go-app [healthcheck|version]")
		return 2
	}
	if err != nil {
		fmt.Fprintln(stderr, "go-app:", err)
		return 1
	}
	return 0
}

type config struct {
	port       string
	startDelay time.Duration
	drainDelay time.Duration
	upstream   string
	environ    map[string]string
}

func configFrom(environ []string) (config, error) {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	cfg := config{port: cmp.Or(env["PORT"], "8080"), upstream: env["UPSTREAM"], environ: env}
	if _, err := strconv.ParseUint(cfg.port, 10, 16); err != nil {
		return cfg, fmt.Errorf("PORT=%q is no port number", cfg.port)
	}
	for name, target := range map[string]*time.Duration{"START_DELAY": &cfg.startDelay, "DRAIN_DELAY": &cfg.drainDelay} {
		delay, err := time.ParseDuration(cmp.Or(env[name], "0s"))
		if err != nil || delay < 0 {
			return cfg, fmt.Errorf("%s=%q is no duration: write 5s or 500ms", name, env[name])
		}
		*target = delay
	}
	if cfg.upstream != "" && !strings.Contains(cfg.upstream, "://") {
		cfg.upstream = "http://" + cfg.upstream
	}
	return cfg, nil
}

// serve answers requests until ctx ends, then stops in the order that loses no request: not ready first, then the
// drain delay, in which whoever sends traffic can notice, then no new connections and the end of those in hand.
func serve(ctx context.Context, cfg config, logger *slog.Logger) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort("", cfg.port))
	if err != nil {
		return err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	app := newApp(cfg, hostname, logger, os.Exit)
	server := &http.Server{
		Handler:           app.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      (maxBurn + 30_000) * time.Millisecond,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelError),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	logger.Info("listening", "address", listener.Addr().String(), "version", version)

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	app.draining.Store(true)
	logger.Info("draining", "delay", cfg.drainDelay)
	time.Sleep(cfg.drainDelay)
	logger.Info("stopping")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		return errors.Join(err, server.Close())
	}
	logger.Info("stopped")
	return nil
}

func healthcheck(ctx context.Context, cfg config) error {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	status, body, err := get(ctx, http.DefaultClient, "http://"+net.JoinHostPort("127.0.0.1", cfg.port)+"/healthz")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d: %s", status, body)
	}
	return err
}

func get(ctx context.Context, client *http.Client, url string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, upstreamLimit))
	return response.StatusCode, string(data), err
}

type app struct {
	cfg      config
	hostname string
	logger   *slog.Logger
	exit     func(int)
	client   *http.Client
	started  time.Time
	draining atomic.Bool
	hangs    atomic.Int64 // until when no request is answered, in Unix nanoseconds
	requests requests

	mu   sync.Mutex
	held [][]byte
}

func newApp(cfg config, hostname string, logger *slog.Logger, exit func(int)) *app {
	// A new connection for each call: behind a Service, only a new connection may reach another Pod.
	transport := &http.Transport{DisableKeepAlives: true}
	return &app{
		cfg: cfg, hostname: hostname, logger: logger, exit: exit, started: time.Now(),
		client: &http.Client{Transport: transport, Timeout: upstreamTimeout},
	}
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.hello)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /env", a.env)
	mux.HandleFunc("GET /call", a.call)
	mux.HandleFunc("GET /burn", a.burn)
	mux.HandleFunc("GET /alloc", a.alloc)
	mux.HandleFunc("GET /crash", a.crash)
	mux.HandleFunc("GET /hang", a.hang)
	mux.HandleFunc("GET /metrics", a.metrics)
	return a.observed(mux)
}

func (a *app) hello(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "hello, k8s! version %s on %s\n", version, a.hostname)
}

// unready says why no traffic should come; empty when it may.
func (a *app) unready() string {
	switch {
	case a.draining.Load():
		return "draining"
	case time.Since(a.started) < a.cfg.startDelay:
		return "starting"
	}
	return ""
}

func (a *app) readyz(w http.ResponseWriter, _ *http.Request) {
	if why := a.unready(); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// env lists the names of the environment variables. Values may be secrets: only those asked for by ?name= are shown.
func (a *app) env(w http.ResponseWriter, r *http.Request) {
	names := r.URL.Query()["name"]
	if len(names) == 0 {
		for _, name := range slices.Sorted(maps.Keys(a.cfg.environ)) {
			fmt.Fprintln(w, name)
		}
		return
	}
	for _, name := range names {
		if _, ok := a.cfg.environ[name]; !ok {
			http.Error(w, name+" is not set", http.StatusNotFound)
			return
		}
	}
	for _, name := range names {
		fmt.Fprintf(w, "%s=%s\n", name, a.cfg.environ[name])
	}
}

// called is what /call answers: 200 when the upstream answered anything, 502 when it didn't.
type called struct {
	Upstream string `json:"upstream"`
	Status   int    `json:"status"`
	Body     string `json:"body"`
	Error    string `json:"error"`
}

func (a *app) call(w http.ResponseWriter, r *http.Request) {
	answer, code := called{Upstream: a.cfg.upstream}, http.StatusOK
	err := errors.New("UPSTREAM is not set")
	if a.cfg.upstream != "" {
		answer.Status, answer.Body, err = get(r.Context(), a.client, a.cfg.upstream)
	}
	if err != nil {
		answer.Error, code = err.Error(), http.StatusBadGateway
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		a.logger.Error("answer lost", "error", err)
	}
}

// number reads ?name= as a whole number between 0 and highest, and answers 400 for anything else.
func number(w http.ResponseWriter, r *http.Request, name string, standard, highest int) (int, bool) {
	n, err := strconv.Atoi(cmp.Or(r.URL.Query().Get(name), strconv.Itoa(standard)))
	if err != nil || n < 0 || n > highest {
		http.Error(w, fmt.Sprintf("%s must be a whole number from 0 to %d", name, highest), http.StatusBadRequest)
		return 0, false
	}
	return n, true
}

// burn keeps one CPU busy for ?ms= and says how much was done: less when the CPU is shared or limited.
func (a *app) burn(w http.ResponseWriter, r *http.Request) {
	ms, ok := number(w, r, "ms", 1000, maxBurn)
	if !ok {
		return
	}
	end := time.Now().Add(time.Duration(ms) * time.Millisecond)
	block, hashes := make([]byte, 4096), 0
	for time.Now().Before(end) && r.Context().Err() == nil {
		sum := sha256.Sum256(block)
		copy(block, sum[:])
		hashes++
	}
	fmt.Fprintf(w, "burned %d ms: %d hashes\n", ms, hashes)
}

// alloc takes ?mb= MiB more memory and keeps them; 0 gives everything back.
func (a *app) alloc(w http.ResponseWriter, r *http.Request) {
	mb, ok := number(w, r, "mb", 64, maxAlloc)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if mb == 0 {
		a.held = nil
		runtime.GC()
	}
	for range mb {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1 // memory counts only once it is written to
		}
		a.held = append(a.held, block)
	}
	fmt.Fprintf(w, "holding %d MiB\n", len(a.held))
}

func (a *app) crash(w http.ResponseWriter, r *http.Request) {
	code, ok := number(w, r, "code", 1, 255)
	if !ok {
		return
	}
	answer := fmt.Sprintf("crashing with exit code %d\n", code)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	fmt.Fprint(w, answer)
	if err := http.NewResponseController(w).Flush(); err != nil {
		a.logger.Error("answer lost", "error", err)
	}
	a.logger.Error("crash", "code", code)
	a.exit(code)
}

// hang makes the program stop answering, /healthz included, for ?ms= or for good; the process lives on.
func (a *app) hang(w http.ResponseWriter, r *http.Request) {
	ms, ok := number(w, r, "ms", 0, 3_600_000)
	if !ok {
		return
	}
	until := int64(forever)
	if ms > 0 {
		until = time.Now().Add(time.Duration(ms) * time.Millisecond).UnixNano()
	}
	a.logger.Warn("hanging", "ms", ms)
	a.hangs.Store(until)
	fmt.Fprintln(w, "hanging")
}

// observed counts and logs each request, and holds it back while the program hangs.
func (a *app) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for wait := a.hangs.Load() - time.Now().UnixNano(); wait > 0; wait = a.hangs.Load() - time.Now().UnixNano() {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Duration(wait)):
			}
		}
		begin := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		took := time.Since(begin)
		_, path, found := strings.Cut(strings.TrimSuffix(r.Pattern, "{$}"), " ")
		if !found {
			path = "other" // one label for all unknown paths: a stranger must not be able to fill the memory
		}
		a.requests.add(path, recorder.status, took)
		if path != "/healthz" && path != "/readyz" && path != "/metrics" {
			a.logger.Info("request", "path", r.URL.Path, "status", recorder.status, "took", took, "from", r.RemoteAddr)
		}
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

type requestKey struct {
	path   string
	status int
}

type requests struct {
	mu      sync.Mutex
	count   map[requestKey]int
	seconds map[requestKey]float64
}

func (c *requests) add(path string, status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count, c.seconds = map[requestKey]int{}, map[requestKey]float64{}
	}
	key := requestKey{path, status}
	c.count[key]++
	c.seconds[key] += took.Seconds()
}

// metrics answers in the Prometheus text format, https://prometheus.io/docs/instrumenting/exposition_formats/.
func (a *app) metrics(w http.ResponseWriter, _ *http.Request) {
	var out strings.Builder
	family := func(name, kind, help string) {
		fmt.Fprintf(&out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	family("go_app_info", "gauge", "The version that was compiled in.")
	fmt.Fprintf(&out, "go_app_info{version=%q} 1\n", version)
	family("go_app_ready", "gauge", "1 while /readyz says ready.")
	ready := 0
	if a.unready() == "" {
		ready = 1
	}
	fmt.Fprintf(&out, "go_app_ready %d\n", ready)
	family("process_start_time_seconds", "gauge", "When the program started, in Unix seconds.")
	fmt.Fprintf(&out, "process_start_time_seconds %d\n", a.started.Unix())
	family("go_goroutines", "gauge", "Goroutines at this moment.")
	fmt.Fprintf(&out, "go_goroutines %d\n", runtime.NumGoroutine())

	a.mu.Lock()
	held := len(a.held) << 20
	a.mu.Unlock()
	family("go_app_held_bytes", "gauge", "Memory that /alloc keeps.")
	fmt.Fprintf(&out, "go_app_held_bytes %d\n", held)

	a.requests.mu.Lock()
	defer a.requests.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(a.requests.count), func(x, y requestKey) int {
		return cmp.Or(cmp.Compare(x.path, y.path), cmp.Compare(x.status, y.status))
	})
	family("http_requests_total", "counter", "Requests answered, by path and status.")
	for _, key := range keys {
		fmt.Fprintf(&out, "http_requests_total{path=%q,status=\"%d\"} %d\n", key.path, key.status, a.requests.count[key])
	}
	family("http_request_seconds_total", "counter", "Time spent answering them.")
	for _, key := range keys {
		fmt.Fprintf(&out, "http_request_seconds_total{path=%q,status=\"%d\"} %g\n", key.path, key.status, a.requests.seconds[key])
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	io.WriteString(w, out.String())
}

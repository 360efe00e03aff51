package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFetch(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-time.After(3 * time.Second):
			}
		case "/large":
			w.Write(bytes.Repeat([]byte("x"), 10*maxBody))
		default:
			w.Header().Set("X-Test", "yes")
			w.Write([]byte("hello"))
		}
	}))
	defer server.Close()
	cases := []struct {
		name, url string
		status    int
		length    int
		err       string
	}{
		{"answers", server.URL, 200, 5, ""},
		{"doesn't follow", server.URL + "/moved", 302, -1, ""},
		{"bounded body", server.URL + "/large", 200, maxBody, ""},
		{"slow", server.URL + "/slow", 0, 0, "timeout: no answer within 200ms"},
		{"refused", "http://" + refused.Addr().String(), 0, 0, "connection refused"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answers, err := fetch(t.Context(), c.url, 1, 0.2)
			if err != nil {
				t.Fatal(err)
			}
			got := answers[0]
			if got.Status != c.status || (c.length >= 0 && len(got.Body) != c.length) {
				t.Errorf("status %d, %d bytes", got.Status, len(got.Body))
			}
			if (c.err == "") != (got.Error == "") || !strings.Contains(got.Error, c.err) {
				t.Errorf("error %q, want %q", got.Error, c.err)
			}
		})
	}
}

func TestEveryRequestIsAConnectionOfItsOwn(t *testing.T) {
	var lock sync.Mutex
	peers := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		peers[r.RemoteAddr] = true
	}))
	defer server.Close()
	answers, err := fetch(t.Context(), server.URL, 40, 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != 40 || len(peers) != 40 {
		t.Errorf("%d answers on %d connections", len(answers), len(peers))
	}
}

func TestRefusesWhatItCannotAsk(t *testing.T) {
	for _, args := range [][]string{
		{}, {"fetch"}, {"fetch", "ftp://host/"}, {"fetch", "-n", "0", "http://host/"},
		{"fetch", "-n", "1001", "http://host/"}, {"fetch", "-timeout", "61", "http://host/"},
		{"fetch", "file:///etc/passwd"},
	} {
		if err := run(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestServesTheSameList(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("hi")) }))
	defer target.Close()
	probe := httptest.NewServer(handler())
	defer probe.Close()
	response, err := http.Get(probe.URL + "/fetch?n=3&timeout=2&url=" + url.QueryEscape(target.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var served []answer
	if err := json.NewDecoder(response.Body).Decode(&served); err != nil {
		t.Fatal(err)
	}
	if len(served) != 3 || served[2].Body != "hi" || served[0].Status != 200 {
		t.Errorf("%+v", served)
	}
	bad, err := http.Get(probe.URL + "/fetch?url=gopher://x")
	if err != nil {
		t.Fatal(err)
	}
	bad.Body.Close()
	if bad.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", bad.StatusCode)
	}
}

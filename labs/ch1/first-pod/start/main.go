// Command hello greets over HTTP whomever it was told to, and says who it runs as.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
)

const version = "1.0.0"

func main() {
	to := flag.String("to", "", "whom to greet")
	flag.Parse()
	if *to == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	hostname, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		log.Print(r.Method, " ", r.URL.Path, " from ", r.RemoteAddr)
		fmt.Fprintf(w, "hello, %s! version %s, uid %d, on %s\n", *to, version, os.Getuid(), hostname)
	})
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	log.Print("listening on :8080, arguments ", os.Args[1:])
	log.Fatal(http.ListenAndServe(":8080", nil))
}

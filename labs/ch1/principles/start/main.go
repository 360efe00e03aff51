// Command web is a small web server with a visitors' book, and the worker that counts what is in it.
//
//	web          serve on port 8080
//	web worker   count the visitors every second
//
// Read from the environment: DATA, the folder that it writes to (the working directory where it isn't set).
package main

import (
	"cmp"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const version = "1.0.0"

// book is the file that visitors are written to, a line each.
var book = filepath.Join(cmp.Or(os.Getenv("DATA"), "."), "visitors.txt")

func main() {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		for range time.Tick(time.Second) {
			log.Println("visitors:", visitors())
		}
	}
	http.HandleFunc("GET /{$}", visit)
	http.HandleFunc("GET /whoami", whoami)
	http.HandleFunc("GET /tamper", tamper)
	http.HandleFunc("GET /crash", crash)
	listener, err := net.Listen("tcp", ":8080")
	if err != nil {
		log.Fatal(err)
	}
	log.Println("listening on", listener.Addr(), "writing to", book)
	log.Fatal(http.Serve(listener, nil))
}

func visitors() int {
	text, err := os.ReadFile(book)
	if err != nil {
		return 0
	}
	return strings.Count(string(text), "\n")
}

// visit writes a line into the book and answers with page.html, found in the working directory.
func visit(w http.ResponseWriter, r *http.Request) {
	page, err := os.ReadFile("page.html")
	if err == nil {
		var file *os.File
		if file, err = os.OpenFile(book, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
			fmt.Fprintln(file, r.RemoteAddr)
			err = file.Close()
		}
	}
	if err != nil {
		log.Println(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	values := strings.NewReplacer("{version}", version, "{visitors}", fmt.Sprint(visitors()))
	values.WriteString(w, string(page))
}

func whoami(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, `{"user": %d, "group": %d}`+"\n", os.Getuid(), os.Getgid())
}

// tamper does what an intruder would do first: put a program of its own in the place of this one.
func tamper(w http.ResponseWriter, _ *http.Request) {
	program, err := os.Executable()
	if err == nil {
		err = os.WriteFile(program+".new", []byte("#!/bin/sh\n"), 0o755)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	os.Remove(program + ".new")
	fmt.Fprintln(w, program, "can be replaced")
}

func crash(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "crashing")
	log.Println("crash")
	time.AfterFunc(100*time.Millisecond, func() { os.Exit(1) })
}

// Command hello serves a page that is written in Markdown.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"log"
	"net/http"

	"github.com/yuin/goldmark"
)

const version = "1.0.0"

//go:embed hello.md
var page []byte

// get-modules.sh writes it: which fetch of the modules this program was built with.
//
//go:embed receipt.txt
var receipt string

func main() {
	var html bytes.Buffer
	if err := goldmark.Convert(page, &html); err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(html.Bytes())
	})
	http.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "version %s\nmodules %s", version, receipt)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}

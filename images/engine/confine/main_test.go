package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBuildIn(t *testing.T) {
	hosts := "127.0.0.1\tlocalhost buildkitsandbox\n100::12:3456:789a:bcde\tbuild.hello-k8s\n"
	if got := buildIn(hosts); got != "123456789abcde" {
		t.Error(got)
	}
	for _, none := range []string{"", "127.0.0.1 build.hello-k8s\n", "100::1 other\n"} {
		if got := buildIn(none); got != "" {
			t.Error(none, got)
		}
	}
}

func TestBundleOf(t *testing.T) {
	for text, want := range map[string]string{
		"--log x run --bundle /b --keep id":          "/b id",
		"--root r create --bundle=/b --pid-file p i": "/b i",
		"kill id KILL": " ",
	} {
		bundle, id := bundleOf(strings.Fields(text))
		if got := bundle + " " + id; got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestWritten(t *testing.T) {
	all := []mount{
		{"/", "overlay", []string{"rw", "upperdir=/outside/diff"}},
		{data, "ext4", nil},
		{data + "/overlay2/a/merged", "overlay", []string{"rw", "upperdir=" + data + "/overlay2/a/diff", "workdir=w"}},
		{data + "/overlay2/b/merged", "overlay", []string{"upperdir=b/diff"}},
	}
	for folder, want := range map[string]string{
		data + "/overlay2/a/merged":   data + "/overlay2/a/diff",
		data + "/overlay2/a/merged/x": data + "/overlay2/a/diff",
		data + "/overlay2/b/merged":   data + "/overlay2/b/diff",
		data + "/volumes/v/_data":     data + "/volumes/v/_data",
		"/etc":                        "",
	} {
		if got := written(all, folder); got != want {
			t.Errorf("%s: %q", folder, got)
		}
	}
}

func TestTooMuch(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file"), make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if tooMuch([]string{folder, folder + "/gone"}, 1<<20) {
		t.Error("64 KiB are not more than 1 MiB")
	}
	if !tooMuch([]string{folder}, 16<<10) {
		t.Error("64 KiB are more than 16 KiB")
	}
}

func TestReadLayer(t *testing.T) {
	folder := t.TempDir()
	for name, size := range map[string]int{"bin/go": 300, "etc/passwd": 10} {
		os.MkdirAll(filepath.Join(folder, filepath.Dir(name)), 0o700)
		os.WriteFile(filepath.Join(folder, name), make([]byte, size), 0o600)
	}
	os.Link(filepath.Join(folder, "bin/go"), filepath.Join(folder, "bin/again"))
	os.Symlink("go", filepath.Join(folder, "bin/link"))
	got, err := readLayer(folder)
	if err != nil {
		t.Fatal(err)
	}
	if names := strings.Join(got.Entries, " "); names != "bin bin/again bin/go bin/link etc etc/passwd" || got.Size != 310 {
		t.Error(names, got.Size)
	}
}

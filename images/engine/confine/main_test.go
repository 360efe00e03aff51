package main

import (
	"os"
	"path/filepath"
	"regexp"
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

func TestHolesAreTooMuch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sparse")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 1<<40); err != nil {
		t.Fatal(err)
	}
	if !tooMuch([]string{file}, 1<<30) {
		t.Error("a layer of it would hold a terabyte of zeros")
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

func TestBuildOf(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(folder, name)
		os.MkdirAll(filepath.Dir(file), 0o700)
		os.WriteFile(file, []byte(text), 0o600)
		return file
	}
	spec := func(source string) map[string]any {
		mount := map[string]any{"destination": "/etc/hosts", "source": source}
		return map[string]any{"mounts": []any{map[string]any{"destination": "/proc"}, mount}}
	}
	ours := write("bundles/hosts.abc", "100::1:0 build.hello-k8s\n")
	plain := write("bundles/hosts", "127.0.0.1 localhost\n")
	theirs := write("snapshots/1/Dockerfile", "FROM scratch\n")
	bundles := filepath.Join(folder, "bundles")
	for source, want := range map[string]string{ours: "10000", plain: ""} {
		if got, err := buildOf(spec(source), bundles); got != want || err != nil {
			t.Error(source, got, err)
		}
	}
	for _, each := range []map[string]any{spec(theirs), spec(filepath.Join(bundles, "gone")), {}} {
		if got, err := buildOf(each, bundles); err == nil {
			t.Error(each, got)
		}
	}
}

func TestHolding(t *testing.T) {
	root := t.TempDir()
	put := func(name string, at int64, text string) {
		file, err := os.Create(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	put("plain", 0, "a token-12ab here")
	put("none", 0, "a token- here")
	put("sparse", 5<<30, "token-ff")
	put("across", 0, strings.Repeat("x", piece+overlap-4)+"token-1"+strings.Repeat("y", piece))
	os.Truncate(filepath.Join(root, "none"), 4<<30)
	os.Symlink("plain", filepath.Join(root, "link"))
	wanted := regexp.MustCompile("token-[0-9a-f]+")
	got, err := holding(root, wanted, 10)
	if strings.Join(got, " ") != "/across /plain /sparse" || err != nil {
		t.Error(got, err)
	}
	if got, _ := holding(root, wanted, 1); len(got) != 1 {
		t.Error(got)
	}
}

func TestRuns(t *testing.T) {
	here := os.Getpid()
	if !(note{Process: here, Running: true}).runs() {
		t.Error("this very process runs")
	}
	for _, none := range []note{{}, {Process: here}, {Process: 1 << 30, Running: true}} {
		if none.runs() {
			t.Error(none)
		}
	}
}

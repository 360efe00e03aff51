package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

const (
	realRunc = "/usr/sbin/runc"
	// A build's number is the address of this name in the hosts file of its steps: BuildKit leaves addresses out of
	// what it looks up its cache by, so that equal steps of two builds stay equal.
	buildHost = "build.hello-k8s"
	// Who goes first when memory is short.
	expendable = 500
)

// asRunc changes the bundle of `runc create` and `runc run`, then becomes the real runc.
func asRunc() {
	if bundle, id := bundleOf(os.Args[1:]); bundle != "" {
		// BuildKit runs its steps in one go; a container is created, then started.
		build, err := confine(bundle, id, slices.Contains(os.Args[1:], "run"))
		if err != nil {
			// A step without its limits would be worse than one that doesn't run.
			fmt.Fprintln(os.Stderr, "confine:", err)
			os.Exit(1)
		}
		if build != "" {
			os.Exit(runStep(build))
		}
	}
	fmt.Fprintln(os.Stderr, "confine:", syscall.Exec(realRunc, append([]string{"runc"}, os.Args[1:]...), os.Environ()))
	os.Exit(1)
}

// bundleOf returns bundle and container ID of a command that makes a container.
func bundleOf(args []string) (bundle, id string) {
	if !slices.Contains(args, "create") && !slices.Contains(args, "run") {
		return "", ""
	}
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--bundle="); ok {
			bundle = value
		} else if (arg == "--bundle" || arg == "-b") && i+1 < len(args) {
			bundle = args[i+1]
		}
	}
	return bundle, args[len(args)-1]
}

// runStep runs a build's step. What it has written too much fails it before a layer is made of that: nothing ends
// the engine while it reads a terabyte of zeros.
func runStep(build string) int {
	asked := make(chan os.Signal, 16)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	runtime.LockOSThread() // the child dies with the thread that made it
	command := exec.Command(realRunc, os.Args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "confine:", err)
		return 1
	}
	go func() {
		for each := range asked {
			command.Process.Signal(each)
		}
	}()
	command.Wait()
	if code := command.ProcessState.ExitCode(); code != 0 {
		return max(code, 1)
	}
	known, err := noteOf(build)
	if err == nil && tooMuch(noted(filepath.Join(state, build+".folders")), known.Disk) {
		os.WriteFile(filepath.Join(state, build+".disk"), nil, 0o600)
		// BuildKit gives this step's failure to every build that waits for an equal one.
		strand()
		fmt.Fprintln(os.Stderr, "confine: the build writes too much")
		return 1
	}
	return 0
}

// confine puts the step or container of a bundle within its limits; returns the build that a step belongs to.
func confine(bundle, id string, step bool) (string, error) {
	file := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	spec := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&spec); err != nil {
		return "", err
	}
	notes := filepath.Join(containers, id)
	build := ""
	if step {
		if build, err = buildOf(spec, filepath.Dir(bundle)); err != nil {
			return "", err
		}
	}
	if build != "" {
		known, err := noteOf(build)
		if err != nil || !known.runs() {
			// BuildKit would do it for another build that waits for an equal step: nobody watches it there.
			strand()
			return "", errors.New("the build that began this step has ended")
		}
		if known.Limited {
			part(spec, "linux")["cgroupsPath"] = filepath.Join("/", parent, build, id)
		}
		part(spec, "process")["oomScoreAdj"] = expendable
		notes = filepath.Join(state, build+".folders")
	}
	limits, _ := part(spec, "process")["rlimits"].([]any)
	part(spec, "process")["rlimits"] = append(limits, map[string]any{
		"type": "RLIMIT_FSIZE", "hard": largestFile, "soft": largestFile,
	})
	if err := noteFolders(spec, bundle, notes); err != nil {
		return "", err
	}
	changed, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	return build, os.WriteFile(file, changed, 0o600)
}

// noteFolders writes down where everything that can be written in the bundle is kept.
func noteFolders(spec map[string]any, bundle, notes string) error {
	all, err := mounts()
	if err != nil {
		return err
	}
	root, _ := part(spec, "root")["path"].(string)
	if !filepath.IsAbs(root) {
		root = filepath.Join(bundle, root)
	}
	folders := []string{root}
	for _, each := range list(spec["mounts"]) {
		source, _ := each["source"].(string)
		if each["type"] == "bind" && exists(source) && !readOnly(each) {
			folders = append(folders, source)
		}
	}
	if err := os.MkdirAll(filepath.Dir(notes), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(notes, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if place := written(all, folder); place != "" {
			fmt.Fprintln(file, place)
		}
	}
	return file.Close()
}

func readOnly(mount map[string]any) bool {
	options, _ := mount["options"].([]any)
	return slices.Contains(options, any("ro"))
}

// buildOf is the build that a step belongs to; empty where it isn't one of ours. BuildKit keeps the hosts files of
// steps in the folder of their bundles: one from elsewhere was mounted by the Dockerfile, to hide whose step it is.
func buildOf(spec map[string]any, bundles string) (string, error) {
	for _, each := range list(spec["mounts"]) {
		if each["destination"] != "/etc/hosts" {
			continue
		}
		source, _ := each["source"].(string)
		if filepath.Dir(source) != filepath.Clean(bundles) {
			return "", errors.New("a build step can't have an /etc/hosts of its own")
		}
		text, err := os.ReadFile(source)
		return buildIn(string(text)), err
	}
	return "", errors.New("a build step without /etc/hosts")
}

func buildIn(hosts string) string {
	for line := range strings.Lines(hosts) {
		if words := strings.Fields(line); len(words) == 2 && words[1] == buildHost {
			if address, err := netip.ParseAddr(words[0]); err == nil && address.Is6() {
				bytes := address.As16()
				return strings.TrimLeft(fmt.Sprintf("%x", bytes[8:]), "0")
			}
		}
	}
	return ""
}

func part(spec map[string]any, name string) map[string]any {
	found, ok := spec[name].(map[string]any)
	if !ok {
		found = map[string]any{}
		spec[name] = found
	}
	return found
}

func list(value any) []map[string]any {
	var found []map[string]any
	items, _ := value.([]any)
	for _, item := range items {
		if each, ok := item.(map[string]any); ok {
			found = append(found, each)
		}
	}
	return found
}

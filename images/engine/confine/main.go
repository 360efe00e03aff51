// Confine keeps one untrusted build or container of this engine from disturbing the others.
//
//	confine build -id ID [options] -- ARGS…   `docker ARGS…` for one build, within limits of its own
//	confine end ID                            end that build
//	confine watch                             end containers that fill the disk, for as long as the engine runs
//	confine layers IMAGE                      sizes and names of the files in an image's layers, as JSON
//	confine search IMAGE PATTERN              the files of its layers in which a regular expression matches, as JSON
//
// Called as `runc` it puts a step of such a build, or a container, within its limits and goes on as the real runc.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// state is where running builds are noted: ID.json, and the locks.
const state = "/run/confine"

func main() {
	if filepath.Base(os.Args[0]) == "runc" {
		asRunc()
		return
	}
	err := errors.New("usage: confine build | end | watch | layers | search")
	code := 2
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "watch":
			code, err = 1, watch()
		}
	}
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "build":
			code, err = build(os.Args[2:])
		case "end":
			code, err = 1, end(os.Args[2])
		case "layers":
			code, err = 1, layers(os.Args[2], os.Stdout)
		}
	}
	if len(os.Args) > 3 && os.Args[1] == "search" {
		code, err = 1, search(os.Args[2], os.Args[3], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "confine:", err)
		os.Exit(code)
	}
}

// A note is what is known of a build. One that doesn't run yet waits for its place.
type note struct {
	Process int  `json:"process"`
	Running bool `json:"running"`
	Limited bool `json:"limited"`
	// Bytes that its steps may write.
	Disk int64 `json:"disk"`
}

func (n note) write(id string) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(state, id+".json"), text, 0o600)
}

func noteOf(id string) (note, error) {
	var found note
	text, err := os.ReadFile(filepath.Join(state, id+".json"))
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	return found, err
}

// runs says whether somebody watches that build, lives whether somebody will.
func (n note) runs() bool  { return n.Running && n.lives() }
func (n note) lives() bool { return n.Process > 0 && syscall.Kill(n.Process, 0) == nil }

// others counts the running builds besides id.
func others(id string) int {
	found, _ := filepath.Glob(filepath.Join(state, "*.json"))
	count := 0
	for _, file := range found {
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); name != id {
			if known, err := noteOf(name); err == nil && known.runs() {
				count++
			}
		}
	}
	return count
}

// forgotten is how long BuildKit takes to forget a step that has failed.
const forgotten = 10 * time.Second

// strand notes that a step is ended which other builds may wait for.
func strand() { os.WriteFile(filepath.Join(state, "stranded"), nil, 0o600) }

func lastStranded() time.Time {
	about, err := os.Stat(filepath.Join(state, "stranded"))
	if err != nil {
		return time.Time{}
	}
	return about.ModTime()
}

func strandedSince(begun time.Time) bool { return lastStranded().After(begun.Add(-forgotten)) }

func end(id string) error {
	known, err := noteOf(id)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syscall.Kill(known.Process, syscall.SIGTERM)
}

// A report is the one line on standard output that says how a build ended.
type report struct {
	// Code is the client's exit code. Ended says what ended it before its time: "deadline", "idle", "processes", "disk", "asked".
	Code  int    `json:"code"`
	Ended string `json:"ended"`
	// Limited: memory and processes had limits of the build's own.
	Limited bool `json:"limited"`
	// Alone: no other build ran in the meantime.
	Alone bool `json:"alone"`
	// Meanwhile a step was ended that others may have waited for, since the build that began it had ended.
	Stranded bool `json:"stranded"`
	// It was at its limit of memory (the page cache counts), and of processes; the engine's disk was nearly full; bytes free at
	// its beginning.
	Memory    bool    `json:"memory"`
	Processes bool    `json:"processes"`
	Full      bool    `json:"full"`
	Free      int64   `json:"free"`
	Waited    float64 `json:"waited"`
	Seconds   float64 `json:"seconds"`
}

func build(args []string) (int, error) {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	id := flags.String("id", "", "hexadecimal, at most 16 digits; unique")
	seconds := flags.Float64("seconds", 300, "until it is ended")
	idle := flags.Float64("idle", 30, "seconds that its steps may go without using a processor")
	memory := flags.Int64("memory", 1<<30, "bytes")
	processes := flags.Int64("processes", 512, "processes and threads at once")
	disk := flags.Int64("disk", 2<<30, "bytes that its steps may write")
	alone := flags.Bool("alone", false, "while no other build runs, after clearing the cache with -clear")
	clear := flags.Bool("clear", false, "remove what no image needs first")
	calm := flags.Bool("calm", false, "wait until the steps that were ended last are forgotten")
	policy := flags.String("policy", "", "BuildKit's source policy, JSON")
	if err := flags.Parse(args); err != nil {
		return 2, err
	}
	number, err := strconv.ParseUint(*id, 16, 64)
	if err != nil || *id != fmt.Sprintf("%x", number) || flags.NArg() == 0 {
		return 2, errors.New("an -id, and what to do, are needed")
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return 1, err
	}
	begun := time.Now()
	// before it waits: who doesn't want it any more may say so meanwhile
	if err := (note{Process: os.Getpid()}).write(*id); err != nil {
		return 1, err
	}
	defer os.Remove(filepath.Join(state, *id+".json"))
	release, err := take(*alone)
	if err != nil {
		return 1, err
	}
	defer release()
	if *calm {
		time.Sleep(min(forgotten, time.Until(lastStranded().Add(forgotten))))
	}
	if *clear && isShort(*disk+nearlyFull) {
		exec.Command("docker", "builder", "prune", "--all", "--force").Run()
		exec.Command("docker", "image", "prune", "--force").Run()
	}
	done := report{Waited: time.Since(begun).Seconds(), Alone: others(*id) == 0, Free: free()}
	group := newGroup(*id)
	done.Limited = group.limit(*memory, *processes) == nil
	if err := (note{os.Getpid(), true, done.Limited, *disk}).write(*id); err != nil {
		return 1, err
	}
	folder, err := os.MkdirTemp(state, "client-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder)
	command := exec.Command("docker", flags.Args()...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stderr, os.Stderr
	command.Env = append(os.Environ(), "BUILDX_CONFIG="+folder)
	if *policy != "" {
		rules := filepath.Join(folder, "policy.json")
		if err := os.WriteFile(rules, []byte(*policy), 0o600); err != nil {
			return 1, err
		}
		command.Env = append(command.Env, "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY="+rules)
	}
	started := time.Now()
	watch := watcher{
		id: *id, group: group, processes: *processes, disk: *disk, seconds: *seconds, idle: *idle, report: &done,
	}
	err = watch.run(command)
	done.Seconds = time.Since(started).Seconds()
	done.Stranded = strandedSince(started)
	done.Memory, done.Processes = group.short(), group.crowded()
	if exists(filepath.Join(state, *id+".disk")) && done.Code != 0 {
		done.Ended = "disk"
	}
	for _, kind := range []string{".json", ".folders", ".disk"} {
		os.Remove(filepath.Join(state, *id+kind))
	}
	group.close(done.Code != 0, *alone)
	if err != nil {
		return 1, err
	}
	return 0, json.NewEncoder(os.Stdout).Encode(done)
}

// take waits for a place among the builds: for one beside others, or for the only one.
// Who wants to be alone keeps the door, so that nobody else comes in while the last ones leave.
func take(alone bool) (func(), error) {
	door, err := os.OpenFile(filepath.Join(state, "door"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer door.Close()
	room, err := os.OpenFile(filepath.Join(state, "room"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	if err := flock(door, syscall.LOCK_EX); err != nil {
		return nil, err
	}
	if err := flock(room, how); err != nil {
		return nil, err
	}
	return func() { room.Close() }, nil
}

func flock(file *os.File, how int) error {
	for {
		if err := syscall.Flock(int(file.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

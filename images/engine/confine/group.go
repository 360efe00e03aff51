package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	cgroups = "/sys/fs/cgroup"
	// parent is the cgroup of all builds together.
	parent = "confine"
	// For dockerd, containerd and what containers need, whatever the builds take.
	reserve = 512 << 20
	// The same of processes.
	reservedProcesses = 1000
	// How long a step may be on its way into the group of a build that has ended.
	onItsWay = 500 * time.Millisecond
)

// A group is the cgroup of one build: under each controller (version 1), or one (version 2).
type group struct {
	path    string
	unified bool
}

func newGroup(id string) group {
	_, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers"))
	return group{filepath.Join(parent, id), err == nil}
}

func (g group) file(controller, path, name string) string {
	if g.unified {
		return filepath.Join(cgroups, path, name)
	}
	return filepath.Join(cgroups, controller, path, name)
}

// limit makes the group with these limits, and the one of all builds with what the engine can spare.
func (g group) limit(memory, processes int64) error {
	if g.unified {
		if err := os.MkdirAll(filepath.Join(cgroups, g.path), 0o755); err != nil {
			return err
		}
		for _, above := range []string{"", parent} {
			if err := write(g.file("", above, "cgroup.subtree_control"), "+memory +pids +cpu"); err != nil {
				return err
			}
		}
	} else {
		for _, controller := range []string{"memory", "pids", "cpu", "cpuacct"} {
			if err := os.MkdirAll(g.file(controller, g.path, ""), 0o755); err != nil {
				return err
			}
		}
	}
	most := g.spare("memory", map[bool]string{true: "memory.max", false: "memory.limit_in_bytes"}[g.unified], reserve)
	if most > 0 {
		if err := g.memory(parent, most); err != nil {
			return err
		}
		memory = min(memory, most)
	}
	if err := g.memory(g.path, memory); err != nil {
		return err
	}
	if most := g.spare("pids", "pids.max", reservedProcesses); most > 0 {
		if err := write(g.file("pids", parent, "pids.max"), strconv.FormatInt(most, 10)); err != nil {
			return err
		}
	}
	return write(g.file("pids", g.path, "pids.max"), strconv.FormatInt(processes, 10))
}

func (g group) memory(path string, most int64) error {
	text := strconv.FormatInt(most, 10)
	if g.unified {
		// no swap to be had is as good as none allowed
		_ = write(g.file("", path, "memory.swap.max"), "0")
		return write(g.file("", path, "memory.max"), text)
	}
	limit, both := g.file("memory", path, "memory.limit_in_bytes"), g.file("memory", path, "memory.memsw.limit_in_bytes")
	if number(limit) > most {
		if err := write(limit, text); err != nil {
			return err
		}
		_ = write(both, text)
		return nil
	}
	_ = write(both, text)
	return write(limit, text)
}

// spare is what the engine's own limit leaves: all but kept, half of it at least; 0 where there is no limit.
func (g group) spare(controller, name string, kept int64) int64 {
	have := number(g.file(controller, "", name))
	if have <= 0 || have > 1<<50 {
		return 0
	}
	return max(have-kept, have/2)
}

// short says whether the group was at its limit of memory.
func (g group) short() bool {
	if g.unified {
		return field(g.file("", g.path, "memory.events"), "oom_kill") > 0
	}
	// Version 1 tells of a kill only below this group, and in some kernels counts no failures either.
	most := number(g.file("memory", g.path, "memory.limit_in_bytes"))
	return number(g.file("memory", g.path, "memory.max_usage_in_bytes")) > most-most/64
}

// crowded says whether it ever had all the processes that it may have. (Version 1 counts a refused fork where it
// happened, below this group.)
func (g group) crowded() bool {
	return number(g.file("pids", g.path, "pids.peak")) >= number(g.file("pids", g.path, "pids.max"))
}

func (g group) processes() int64 { return number(g.file("pids", g.path, "pids.current")) }

// used is the time on processors, in nanoseconds.
func (g group) used() int64 {
	if g.unified {
		return 1000 * field(g.file("", g.path, "cpu.stat"), "usage_usec")
	}
	return number(g.file("cpuacct", g.path, "cpuacct.usage"))
}

// close ends what is left in the group and removes it. A step that another build waits for, too, ends with it: nobody
// would watch it any more. That build is run again alone. After a build that failed a step may be on its way still:
// runc had looked at the note before it was gone. (For the steps of a build that ran alone nobody else can wait.)
func (g group) close(failed, alone bool) {
	if g.processes() > 0 && !alone {
		strand()
	}
	quiet := time.Now()
	for until := quiet.Add(3 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if g.kill(g.path) > 0 {
			quiet = time.Now()
		} else if !failed || time.Since(quiet) > onItsWay {
			break
		}
	}
	g.remove(g.path)
	// and what is left of builds whose confine was killed
	entries, _ := os.ReadDir(g.file("pids", parent, ""))
	for _, entry := range entries {
		path := filepath.Join(parent, entry.Name())
		if known, err := noteOf(entry.Name()); entry.IsDir() && path != g.path && (err != nil || !known.lives()) {
			g.kill(path)
			g.remove(path)
		}
	}
}

// remove removes a group in which no process is.
func (g group) remove(path string) {
	controllers := []string{""}
	if !g.unified {
		entries, _ := os.ReadDir(cgroups)
		controllers = controllers[:0]
		for _, entry := range entries {
			controllers = append(controllers, entry.Name())
		}
	}
	for _, controller := range controllers {
		removeBelow(g.file(controller, path, ""))
	}
}

// kill sends SIGKILL to every process below path and returns how many there were.
func (g group) kill(path string) int {
	count := 0
	filepath.WalkDir(g.file("pids", path, ""), func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return nil
		}
		text, _ := os.ReadFile(name)
		for _, word := range strings.Fields(string(text)) {
			if process, err := strconv.Atoi(word); err == nil && process > 1 {
				syscall.Kill(process, syscall.SIGKILL)
				count++
			}
		}
		return nil
	})
	return count
}

func removeBelow(folder string) {
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		if entry.IsDir() {
			removeBelow(filepath.Join(folder, entry.Name()))
		}
	}
	syscall.Rmdir(folder)
}

func write(file, text string) error {
	handle, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = handle.WriteString(text)
	return errors.Join(err, handle.Close())
}

// number reads a file of one number; 0 for what is none.
func number(file string) int64 {
	text, _ := os.ReadFile(file)
	value, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return value
}

// field reads the number beside name in a file of such lines.
func field(file, name string) int64 {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == name {
			value, _ := strconv.ParseInt(words[1], 10, 64)
			return value
		}
	}
	return 0
}

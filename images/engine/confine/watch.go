package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	tick = 200 * time.Millisecond
	// A disk can be full for less than that: fallocate(1) takes what there is at once.
	quickTick = 20 * time.Millisecond
	// A build that is told to end has this long until its client is killed.
	patience = 5 * time.Second
	// At so many looks more than not, a build may have nearly all the processes that it can get.
	crowded = 15
	// Of a processor's time, in nanoseconds: less than that is standing still.
	still = 50_000_000
)

type watcher struct {
	id            string
	group         group
	processes     int64
	disk          int64
	seconds, idle float64
	report        *report

	full      int
	used      int64
	usedSince time.Time
	meter     meter
	folders   int
}

// run runs the client until it ends or there is a reason to end it, which the report then says.
func (w *watcher) run(command *exec.Cmd) error {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	begun := time.Now()
	w.usedSince = begun
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	room := time.NewTicker(quickTick)
	defer room.Stop()
	var kill <-chan time.Time
	for {
		select {
		case err := <-ended:
			var failed *exec.ExitError
			if err != nil && !errors.As(err, &failed) {
				return err
			}
			w.report.Code = command.ProcessState.ExitCode()
			return nil
		case <-asked:
			w.report.Ended = "asked"
		case now := <-ticker.C:
			w.report.Alone = w.report.Alone && others(w.id) == 0
			if w.report.Ended == "" {
				w.report.Ended = w.reason(now, now.Sub(begun))
			}
		case <-room.C:
			w.report.Full = w.report.Full || isShort(nearlyFull)
		case <-kill:
			syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		}
		if w.report.Ended != "" && kill == nil {
			// The client tells BuildKit, which ends the steps that nobody else waits for.
			syscall.Kill(command.Process.Pid, syscall.SIGTERM)
			kill = time.After(patience)
		}
	}
}

// reason says why the build should end now; empty if it may go on.
func (w *watcher) reason(now time.Time, since time.Duration) string {
	if since.Seconds() > w.seconds {
		return "deadline"
	}
	if w.group.processes() >= w.processes*9/10 {
		w.full++
	} else if w.full > 0 {
		w.full--
	}
	if w.full > crowded {
		return "processes"
	}
	// a cache mount that begins to be used may hold too much already
	folders := noted(filepath.Join(state, w.id+".folders"))
	isNew := len(folders) != w.folders
	w.folders = len(folders)
	if (w.meter.due() || isNew) && tooMuch(folders, w.disk) {
		return "disk"
	}
	used := w.group.used()
	if used-w.used > still || used < w.used || w.group.processes() == 0 {
		w.used, w.usedSince = used, now
	} else if now.Sub(w.usedSince).Seconds() > w.idle {
		return "idle"
	}
	return ""
}

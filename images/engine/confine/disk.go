package main

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// data is the file system that images, containers and BuildKit's cache are on.
	data = "/var/lib/docker"
	// containers is where the writable folders of running containers are noted, killed what became of them.
	containers = state + "/containers"
	killed     = state + "/killed"
	// What the files of one container may take.
	containerDisk = 1 << 30
	// More than one file may hold, before anybody has looked: holes count, too.
	largestFile = 4 << 30
	// Files and folders that one build or container may have: the disk has room for so many only.
	mostFiles = 150_000
	// With less free than that, a step may find no room between two looks.
	nearlyFull = 1 << 30
	// So many bytes less on the disk are worth a look at who took them.
	worthALook = 64 << 20
)

// A mount is a line of /proc/self/mountinfo.
type mount struct {
	point, kind string
	options     []string
}

func mounts() ([]mount, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []mount
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) >= 6 && len(right) >= 3 {
			found = append(found, mount{left[4], right[0], strings.Split(right[2], ",")})
		}
	}
	return found, lines.Err()
}

// written is where the file system keeps what is written to folder: an overlay's upper folder, or folder itself;
// empty where it isn't on the disk of the engine.
func written(all []mount, folder string) string {
	var best mount
	for _, each := range all {
		if each.point == folder || each.point == "/" || strings.HasPrefix(folder, each.point+"/") {
			// of several at the same place the last covers the others
			if len(each.point) >= len(best.point) {
				best = each
			}
		}
	}
	if best.kind == "overlay" {
		for _, option := range best.options {
			if upper, ok := strings.CutPrefix(option, "upperdir="); ok {
				if !filepath.IsAbs(upper) {
					upper = filepath.Join(data, "overlay2", upper)
				}
				folder = upper
			}
		}
	}
	if !strings.HasPrefix(folder, data+"/") {
		return ""
	}
	return folder
}

var errTooMuch = errors.New("too much")

// tooMuch says whether the files in folders take more than most bytes, or are too many.
func tooMuch(folders []string, most int64) bool {
	var bytes, files int64
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, syscall.ENAMETOOLONG) {
				return errTooMuch // so deep that nobody can count what is there
			}
			if err != nil {
				return nil // gone while we looked
			}
			files++
			if about, err := entry.Info(); err == nil {
				// what a layer is made of is read with its holes
				bytes += max(about.Size(), about.Sys().(*syscall.Stat_t).Blocks*512)
			}
			if bytes > most || files > mostFiles {
				return errTooMuch
			}
			return nil
		})
		if err != nil {
			return true
		}
	}
	return false
}

// A meter tells when it is time to look again who takes the disk.
type meter struct {
	free, files uint64
}

// due is whether the disk has become notably fuller since the last time that it was.
func (m *meter) due() bool {
	free, files, err := room()
	if err != nil {
		return false
	}
	if free+worthALook < m.free || files+mostFiles/8 < m.files || m.files == 0 {
		m.free, m.files = free, files
		return true
	}
	m.free, m.files = max(m.free, free), max(m.files, files)
	return false
}

// free is how many bytes the disk has room for.
func free() int64 {
	bytes, _, _ := room()
	return int64(bytes)
}

// isShort says whether the disk has less than so many bytes free, or room for less than half the files of one build.
func isShort(bytes int64) bool {
	free, files, err := room()
	return err != nil || free < uint64(bytes) || files < mostFiles/2
}

// room is how many bytes, and files, the disk has room for.
func room() (free, files uint64, err error) {
	var now syscall.Statfs_t
	err = syscall.Statfs(data, &now)
	return now.Bfree * uint64(now.Bsize), now.Ffree, err
}

func noted(file string) []string {
	text, _ := os.ReadFile(file)
	return strings.Fields(string(text))
}

// watch kills containers that write too much, for as long as the engine runs.
func watch() error {
	for _, folder := range []string{containers, killed} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	var disk meter
	for range time.Tick(500 * time.Millisecond) {
		if !disk.due() {
			continue
		}
		entries, _ := os.ReadDir(containers)
		for _, entry := range entries {
			file := filepath.Join(containers, entry.Name())
			folders := noted(file)
			if len(folders) == 0 || !exists(folders[0]) {
				os.Remove(file)
				os.Remove(filepath.Join(killed, entry.Name()))
			} else if tooMuch(folders, containerDisk) {
				os.WriteFile(filepath.Join(killed, entry.Name()), []byte("disk\n"), 0o600)
				exec.Command("docker", "kill", entry.Name()).Run()
			}
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

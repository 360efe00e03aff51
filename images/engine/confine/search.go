package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

const (
	// A file is read in pieces, however long its lines are; what matches may be as long as the overlap.
	piece   = 1 << 20
	overlap = 4 << 10
	// So many files are enough to tell.
	mostFound = 100
	// Whences of lseek(2): a file of 4 GiB may take no room at all, and reading zeros takes time.
	seekData, seekHole = 3, 4
)

// A match is a file of a layer (the lowest is 1) in which the pattern is.
type match struct {
	Layer int    `json:"layer"`
	Path  string `json:"path"`
}

// search writes which files of an image's layers hold pattern, those that a later layer deletes or replaces, too.
func search(image, pattern string, out io.Writer) error {
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	folders, _, err := unpacked(image)
	if err != nil {
		return err
	}
	found := []match{}
	for number, folder := range folders {
		paths, err := holding(folder, wanted, mostFound-len(found))
		if err != nil {
			return err
		}
		for _, path := range paths {
			found = append(found, match{number + 1, path})
		}
	}
	return json.NewEncoder(out).Encode(found)
}

// holding lists files below root that hold what is wanted, at most so many.
func holding(root string, wanted *regexp.Regexp, most int) ([]string, error) {
	var found []string
	buffer := make([]byte, overlap+piece)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if len(found) >= most {
			return fs.SkipAll
		}
		there, err := holds(path, wanted, buffer)
		if there {
			found = append(found, "/"+path[len(root)+1:])
		}
		return err
	})
	return found, err
}

func holds(path string, wanted *regexp.Regexp, buffer []byte) (bool, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer file.Close()
	for end := int64(0); ; {
		begin, err := file.Seek(end, seekData)
		if errors.Is(err, syscall.ENXIO) { // nothing but holes from here on
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if end, err = file.Seek(begin, seekHole); err != nil {
			return false, err
		}
		if found, err := inPart(io.NewSectionReader(file, begin, end-begin), wanted, buffer); found || err != nil {
			return found, err
		}
	}
}

// inPart looks through one stretch of data, keeping the end of each piece for what begins there.
func inPart(part io.Reader, wanted *regexp.Regexp, buffer []byte) (bool, error) {
	kept := 0
	for {
		read, err := io.ReadFull(part, buffer[kept:])
		if wanted.Match(buffer[:kept+read]) {
			return true, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		kept = copy(buffer, buffer[kept+read-overlap:kept+read])
	}
}

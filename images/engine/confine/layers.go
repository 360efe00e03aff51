package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A layer as `docker save` would give it: bytes of its files, and names with deletions as `.wh.`.
type layer struct {
	Size    int64    `json:"size"`
	Entries []string `json:"entries"`
}

// unpacked is where overlay2 keeps the layers of an image, the lowest first, and the image's ID. Fails where another
// store keeps them.
func unpacked(image string) (folders []string, id string, err error) {
	text, err := exec.Command("docker", "image", "inspect", image).Output()
	if err != nil {
		return nil, "", err
	}
	var found []struct {
		Id          string
		RootFS      struct{ Layers []string }
		GraphDriver struct {
			Name string
			Data map[string]string
		}
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, "", err
	}
	if len(found) != 1 || found[0].GraphDriver.Name != "overlay2" {
		return nil, "", errors.New("the layers aren't in overlay2")
	}
	if upper := found[0].GraphDriver.Data["UpperDir"]; upper != "" {
		folders = append(folders, upper)
	}
	if lower := found[0].GraphDriver.Data["LowerDir"]; lower != "" {
		folders = append(folders, strings.Split(lower, ":")...)
	}
	slices.Reverse(folders)
	if len(folders) != len(found[0].RootFS.Layers) {
		return nil, "", errors.New("not every layer has a folder")
	}
	return folders, found[0].Id, nil
}

// layers writes those of an image, the lowest first, and its configuration: nothing is copied.
func layers(image string, out io.Writer) error {
	folders, id, err := unpacked(image)
	if err != nil {
		return err
	}
	config, err := os.ReadFile(filepath.Join(data, "image/overlay2/imagedb/content", strings.Replace(id, ":", "/", 1)))
	if err != nil {
		return err
	}
	read := make([]layer, 0, len(folders))
	for _, folder := range folders {
		each, err := readLayer(folder)
		if err != nil {
			return err
		}
		read = append(read, each)
	}
	return json.NewEncoder(out).Encode(map[string]any{"layers": read, "config": json.RawMessage(config)})
}

func readLayer(root string) (layer, error) {
	found := layer{Entries: []string{}}
	seen := map[uint64]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		about, err := entry.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root+"/")
		system := about.Sys().(*syscall.Stat_t)
		switch {
		case about.IsDir():
			found.Entries = append(found.Entries, name)
			if attribute(path, "redirect") != "" {
				return errors.New("a folder was moved in a way that only overlay2 knows")
			}
			if attribute(path, "opaque") == "y" {
				found.Entries = append(found.Entries, name+"/.wh..wh..opq")
			}
			return nil
		case about.Mode()&os.ModeCharDevice != 0 && system.Rdev == 0:
			folder, base := filepath.Split(name)
			found.Entries = append(found.Entries, folder+".wh."+base)
			return nil
		case about.Mode().IsRegular() && !seen[system.Ino]:
			// a second name of the same file takes no room in the archive either
			found.Size += about.Size()
			seen[system.Ino] = true
		}
		found.Entries = append(found.Entries, name)
		return nil
	})
	return found, err
}

func attribute(path, name string) string {
	value := make([]byte, 256)
	size, err := syscall.Getxattr(path, "trusted.overlay."+name, value)
	if err != nil {
		return ""
	}
	return string(value[:size])
}

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/sim"
)

// exportable says why disks can't be written to a folder: it never mixes
// a world with what is already there.
func exportable(dir string, hosts []string) error {
	for _, h := range hosts {
		to := filepath.Join(dir, h)
		there, err := os.ReadDir(to)
		if err == nil && len(there) > 0 {
			return fmt.Errorf("%s is not empty; name a folder without it", to)
		}
	}
	return nil
}

// export writes each host's disk as a real folder DIR/<host>, with modes and
// times. Links to absolute paths are made relative, so that they lead to the
// same file inside the folder.
func export(w *engine.World, dir string) error {
	for _, h := range w.Hosts() {
		if err := exportDisk(w.Disk(h), filepath.Join(dir, h)); err != nil {
			return fmt.Errorf("the disk of %s can't be written: %w", h, err)
		}
	}
	return nil
}

func exportDisk(d *sim.Disk, dir string) error {
	names := d.Walk("/")
	for _, name := range names {
		e := d.Entries[name]
		to := filepath.Join(dir, filepath.FromSlash(name))
		var err error
		switch {
		case e.Mode.IsDir():
			err = os.MkdirAll(to, 0o755)
		case e.Mode&fs.ModeSymlink != 0:
			err = os.Symlink(filepath.FromSlash(within(name, e.Target)), to)
		default:
			err = os.WriteFile(to, e.Data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	// Modes and times last, and folders after what is in them.
	for i := len(names) - 1; i >= 0; i-- {
		e := d.Entries[names[i]]
		to := filepath.Join(dir, filepath.FromSlash(names[i]))
		if e.Mode&fs.ModeSymlink != 0 {
			continue
		}
		if err := os.Chmod(to, e.Mode.Perm()); err != nil {
			return err
		}
		if err := os.Chtimes(to, e.Time, e.Time); err != nil {
			return err
		}
	}
	return nil
}

// within rewrites the absolute target of the link name to a relative one; it
// never leads out of the disk.
func within(name, target string) string {
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(name), target)
	}
	rel, err := filepath.Rel(path.Dir(name), path.Clean(target))
	if err != nil {
		return path.Base(target)
	}
	return filepath.ToSlash(rel)
}

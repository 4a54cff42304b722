package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Disk is a host's file tree: absolute slash paths, modes, times, symbolic
// links. Times are arguments. Its zero value is not usable; see NewDisk.
//
// Entries never change after they are made, so Clone is a copy of the map.
type Disk struct {
	Entries map[string]*Entry `json:"entries"`
	// Changed is called after each change, when set; it is not part of the state.
	Changed func(op, name string, e *Entry) `json:"-"`
}

// Entry is a file, a directory (Mode has fs.ModeDir) or a symbolic link
// (fs.ModeSymlink, Target).
type Entry struct {
	Mode   fs.FileMode `json:"mode"`
	Time   time.Time   `json:"time"`
	Data   []byte      `json:"data,omitempty"`
	Target string      `json:"target,omitempty"`
}

// NewDisk returns a disk with nothing but the root directory.
func NewDisk(now time.Time) *Disk {
	return &Disk{Entries: map[string]*Entry{"/": {Mode: fs.ModeDir | 0o755, Time: now}}}
}

// Clone returns an independent copy, without Changed.
func (d *Disk) Clone() *Disk { return &Disk{Entries: maps.Clone(d.Entries)} }

func pathErr(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// errors as Linux words them; they wrap fs.ErrExist and the like.
type errno struct {
	text string
	is   error
}

func (e *errno) Error() string        { return e.text }
func (e *errno) Is(target error) bool { return e.is == target }

var (
	errNotExist = &errno{"no such file or directory", fs.ErrNotExist}
	errExist    = &errno{"file exists", fs.ErrExist}
	errIsDir    = errors.New("is a directory")
	errNotDir   = errors.New("not a directory")
	errNotEmpty = errors.New("directory not empty")
	errLoop     = errors.New("too many levels of symbolic links")
	errInvalid  = &errno{"invalid argument", fs.ErrInvalid}
)

// Resolve follows links in name, also the last one when follow is set, and
// returns the real path. What the path names need not exist; what it passes
// through must.
func (d *Disk) Resolve(op, name string, follow bool) (string, error) {
	if !path.IsAbs(name) {
		return "", pathErr(op, name, errInvalid)
	}
	links := 0
	done, rest := "/", strings.Trim(path.Clean(name), "/")
	for rest != "" {
		part, more, _ := strings.Cut(rest, "/")
		rest = more
		if part == "." || part == "" {
			continue
		}
		if part == ".." {
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		e := d.Entries[next]
		switch {
		case e == nil && rest != "":
			return "", pathErr(op, name, errNotExist)
		case e != nil && e.Mode&fs.ModeSymlink != 0 && (rest != "" || follow):
			if links++; links > 40 {
				return "", pathErr(op, name, errLoop)
			}
			if path.IsAbs(e.Target) {
				done = "/"
			}
			rest = strings.Trim(e.Target, "/") + "/" + rest
			rest = strings.Trim(rest, "/")
			continue
		case e != nil && rest != "" && !e.Mode.IsDir():
			return "", pathErr(op, name, errNotDir)
		}
		done = next
	}
	return done, nil
}

func (d *Disk) set(op, name string, e *Entry) {
	d.Entries[name] = e
	if d.Changed != nil {
		d.Changed(op, name, e)
	}
}

// Stat returns the entry that name leads to; Lstat does not follow a last link.
func (d *Disk) Stat(name string) (*Entry, error)  { return d.stat("stat", name, true) }
func (d *Disk) Lstat(name string) (*Entry, error) { return d.stat("lstat", name, false) }

func (d *Disk) stat(op, name string, follow bool) (*Entry, error) {
	p, err := d.Resolve(op, name, follow)
	if err != nil {
		return nil, err
	}
	e := d.Entries[p]
	if e == nil {
		return nil, pathErr(op, name, errNotExist)
	}
	return e, nil
}

// ReadFile returns a file's content.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	e, err := d.stat("open", name, true)
	if err != nil {
		return nil, err
	}
	if e.Mode.IsDir() {
		return nil, pathErr("read", name, errIsDir)
	}
	return slices.Clone(e.Data), nil
}

// WriteFile writes a file; mode counts for a new one only.
func (d *Disk) WriteFile(name string, data []byte, mode fs.FileMode, now time.Time) error {
	p, err := d.Resolve("open", name, true)
	if err != nil {
		return err
	}
	parent := d.Entries[path.Dir(p)]
	if parent == nil {
		return pathErr("open", name, errNotExist)
	}
	if !parent.Mode.IsDir() {
		return pathErr("open", name, errNotDir)
	}
	if old := d.Entries[p]; old != nil {
		if old.Mode.IsDir() {
			return pathErr("open", name, errIsDir)
		}
		mode = old.Mode
	}
	d.set("write", p, &Entry{Mode: mode.Perm() | mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky), Time: now, Data: slices.Clone(data)})
	return nil
}

// MkdirAll makes a directory and what is missing above it.
func (d *Disk) MkdirAll(name string, mode fs.FileMode, now time.Time) error {
	if e, err := d.Stat(name); err == nil {
		if !e.Mode.IsDir() {
			return pathErr("mkdir", name, errNotDir)
		}
		return nil
	}
	if dir := path.Dir(path.Clean(name)); dir != path.Clean(name) {
		if err := d.MkdirAll(dir, mode, now); err != nil {
			return err
		}
	}
	return d.Mkdir(name, mode, now)
}

// Mkdir makes one directory.
func (d *Disk) Mkdir(name string, mode fs.FileMode, now time.Time) error {
	p, err := d.Resolve("mkdir", name, true)
	if err != nil {
		return err
	}
	if d.Entries[p] != nil {
		return pathErr("mkdir", name, errExist)
	}
	parent := d.Entries[path.Dir(p)]
	if parent == nil {
		return pathErr("mkdir", name, errNotExist)
	}
	d.set("mkdir", p, &Entry{Mode: fs.ModeDir | mode.Perm(), Time: now})
	return nil
}

// Symlink makes name a link to target.
func (d *Disk) Symlink(target, name string, now time.Time) error {
	p, err := d.Resolve("symlink", name, false)
	if err != nil {
		return err
	}
	if d.Entries[p] != nil {
		return &linkError{"symlink", target, name, errExist}
	}
	if parent := d.Entries[path.Dir(p)]; parent == nil || !parent.Mode.IsDir() {
		return &linkError{"symlink", target, name, errNotExist}
	}
	d.set("symlink", p, &Entry{Mode: fs.ModeSymlink | 0o777, Time: now, Target: target})
	return nil
}

// linkError reads as os.LinkError does.
type linkError struct {
	op, old, new string
	err          error
}

func (e *linkError) Error() string { return fmt.Sprintf("%s %s %s: %s", e.op, e.old, e.new, e.err) }
func (e *linkError) Unwrap() error { return e.err }

// ReadLink returns a link's target.
func (d *Disk) ReadLink(name string) (string, error) {
	e, err := d.stat("readlink", name, false)
	if err != nil {
		return "", err
	}
	if e.Mode&fs.ModeSymlink == 0 {
		return "", pathErr("readlink", name, errInvalid)
	}
	return e.Target, nil
}

// Remove removes a file, a link or an empty directory.
func (d *Disk) Remove(name string) error {
	p, err := d.Resolve("remove", name, false)
	if err != nil {
		return err
	}
	e := d.Entries[p]
	if e == nil {
		return pathErr("remove", name, errNotExist)
	}
	if e.Mode.IsDir() && len(d.children(p)) > 0 {
		return pathErr("remove", name, errNotEmpty)
	}
	delete(d.Entries, p)
	if d.Changed != nil {
		d.Changed("remove", p, e)
	}
	return nil
}

// Rename moves a file, a link or a directory with all in it, over what is there.
func (d *Disk) Rename(from, to string) error {
	a, err := d.Resolve("rename", from, false)
	if err != nil {
		return err
	}
	b, err := d.Resolve("rename", to, false)
	if err != nil {
		return err
	}
	e := d.Entries[a]
	if e == nil {
		return &linkError{"rename", from, to, errNotExist}
	}
	if parent := d.Entries[path.Dir(b)]; parent == nil || !parent.Mode.IsDir() {
		return &linkError{"rename", from, to, errNotExist}
	}
	if old := d.Entries[b]; old != nil && a != b {
		switch {
		case old.Mode.IsDir() && !e.Mode.IsDir():
			return &linkError{"rename", from, to, errExist}
		case !old.Mode.IsDir() && e.Mode.IsDir():
			return &linkError{"rename", from, to, errNotDir}
		case old.Mode.IsDir() && len(d.children(b)) > 0:
			return &linkError{"rename", from, to, errNotEmpty}
		}
	}
	if e.Mode.IsDir() && strings.HasPrefix(b+"/", a+"/") && a != b {
		return &linkError{"rename", from, to, errInvalid}
	}
	if a == b {
		return nil
	}
	for _, p := range d.Walk(a) {
		q := b + strings.TrimPrefix(p, a)
		sub := d.Entries[p]
		delete(d.Entries, p)
		d.Entries[q] = sub
	}
	if d.Changed != nil {
		d.Changed("rename", b, e)
	}
	return nil
}

// Chmod changes the permission bits.
func (d *Disk) Chmod(name string, mode fs.FileMode) error {
	p, err := d.Resolve("chmod", name, true)
	if err != nil {
		return err
	}
	e := d.Entries[p]
	if e == nil {
		return pathErr("chmod", name, errNotExist)
	}
	n := *e
	n.Mode = e.Mode.Type() | mode.Perm()
	d.set("chmod", p, &n)
	return nil
}

// Chtimes changes the modification time.
func (d *Disk) Chtimes(name string, t time.Time) error {
	p, err := d.Resolve("chtimes", name, true)
	if err != nil {
		return err
	}
	e := d.Entries[p]
	if e == nil {
		return pathErr("chtimes", name, errNotExist)
	}
	n := *e
	n.Time = t
	d.Entries[p] = &n
	return nil
}

// ReadDir returns the names in a directory, sorted.
func (d *Disk) ReadDir(name string) ([]string, error) {
	p, err := d.Resolve("open", name, true)
	if err != nil {
		return nil, err
	}
	e := d.Entries[p]
	if e == nil {
		return nil, pathErr("open", name, errNotExist)
	}
	if !e.Mode.IsDir() {
		return nil, pathErr("readdirent", name, errNotDir)
	}
	return d.children(p), nil
}

func (d *Disk) children(dir string) []string {
	prefix := strings.TrimSuffix(dir, "/") + "/"
	var out []string
	for p := range d.Entries {
		if rest, ok := strings.CutPrefix(p, prefix); ok && rest != "" && !strings.Contains(rest, "/") {
			out = append(out, rest)
		}
	}
	slices.Sort(out)
	return out
}

// Walk returns the path itself and all below it, sorted.
func (d *Disk) Walk(root string) []string {
	prefix := strings.TrimSuffix(root, "/") + "/"
	var out []string
	for p := range d.Entries {
		if p == root || strings.HasPrefix(p, prefix) {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

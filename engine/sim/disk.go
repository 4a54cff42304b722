package sim

import (
	"cmp"
	"errors"
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
	// Denied is what can't be changed now, because the disk is at fault.
	Denied []Denial `json:"denied,omitempty"`
	// Changed is called after each change, when set; it is not part of the state.
	Changed func(op, name string, e *Entry) `json:"-"`

	tree tree
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
func (d *Disk) Clone() *Disk {
	return &Disk{Entries: maps.Clone(d.Entries), Denied: slices.Clone(d.Denied)}
}

// Denial is a part of a disk that is at fault: below Path nothing can be
// changed, or, with Full, nothing can be added.
type Denial struct {
	Path string `json:"path"`
	Full bool   `json:"full,omitempty"`
}

// denied is why a path can't be changed, nil when it can.
func (d *Disk) denied(p string, adds bool) error {
	for _, x := range d.Denied {
		if x.Path == "/" || p == x.Path || strings.HasPrefix(p, strings.TrimSuffix(x.Path, "/")+"/") {
			switch {
			case !x.Full:
				return errReadOnly
			case adds:
				return errNoSpace
			}
		}
	}
	return nil
}

// Resolve follows links in name, also the last one when follow is set, and
// returns the real path. What the path names need not exist; what it passes
// through must, also before "..", as for a kernel.
func (d *Disk) Resolve(op, name string, follow bool) (string, error) {
	if !path.IsAbs(name) {
		return "", pathErr(op, name, errInvalid)
	}
	links := 0
	done, rest := "/", strings.Trim(name, "/")
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
	d.put(name, e)
	d.changed(op, name, e)
}

func (d *Disk) changed(op, name string, e *Entry) {
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

// ReadFile returns a file's content, which nobody may change: a file that is
// written gets bytes of its own.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	if name == "" {
		return nil, pathErr("open", name, errNotExist)
	}
	e, err := d.stat("open", name, true)
	if err != nil {
		return nil, err
	}
	if e.Mode.IsDir() {
		return nil, pathErr("read", name, errIsDir)
	}
	return slices.Clip(e.Data), nil
}

// settable are the bits of a mode that can be set: what 07777 is to chmod.
const settable = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

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
	if err := d.denied(p, len(data) > 0); err != nil {
		return pathErr("open", name, err)
	}
	d.set("write", p, &Entry{Mode: mode & settable, Time: now, Data: slices.Clone(data)})
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
	p, err := d.Resolve("mkdir", name, false)
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
	if err := d.denied(p, true); err != nil {
		return pathErr("mkdir", name, err)
	}
	d.set("mkdir", p, &Entry{Mode: fs.ModeDir | mode&settable, Time: now})
	return nil
}

// Symlink makes name a link to target, which is kept as it is and need not
// exist. Its errors are *hackpadfs.LinkError, which reads as os.LinkError does.
func (d *Disk) Symlink(target, name string, now time.Time) error {
	p, err := d.Resolve("symlink", name, false)
	switch {
	case err != nil:
		return linkErr("symlink", target, name, err)
	case d.Entries[p] != nil:
		return linkErr("symlink", target, name, errExist)
	case d.Entries[path.Dir(p)] == nil || target == "":
		return linkErr("symlink", target, name, errNotExist)
	}
	if err := d.denied(p, true); err != nil {
		return linkErr("symlink", target, name, err)
	}
	d.set("symlink", p, &Entry{Mode: fs.ModeSymlink | 0o777, Time: now, Target: target})
	return nil
}

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
	switch {
	case e == nil:
		return pathErr("remove", name, errNotExist)
	case p == "/":
		return pathErr("remove", name, errBusy)
	case e.Mode.IsDir() && len(d.children(p)) > 0:
		return pathErr("remove", name, errNotEmpty)
	}
	if err := d.denied(p, false); err != nil {
		return pathErr("remove", name, err)
	}
	d.drop(p)
	d.changed("remove", p, e)
	return nil
}

// RemoveAll removes what is at name and below it, and follows no links. That
// there is nothing is no error, as with os.RemoveAll.
func (d *Disk) RemoveAll(name string) error {
	p, err := d.Resolve("remove", name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if p == "/" {
		return pathErr("remove", name, errBusy)
	}
	for _, q := range slices.Backward(d.Walk(p)) {
		e := d.Entries[q]
		if err := d.denied(q, false); err != nil {
			return pathErr("unlinkat", q, err)
		}
		d.drop(q)
		d.changed("remove", q, e)
	}
	return nil
}

// Rename moves a file, a link or a directory with all in it, over a file that
// is there, but as os.Rename never over a directory. Its errors are
// *hackpadfs.LinkError.
func (d *Disk) Rename(from, to string) error {
	a, errA := d.Resolve("rename", from, false)
	b, errB := d.Resolve("rename", to, false)
	if err := cmp.Or(errA, errB); err != nil {
		return linkErr("rename", from, to, err)
	}
	e, old := d.Entries[a], d.Entries[b]
	switch {
	case e == nil || d.Entries[path.Dir(b)] == nil:
		return linkErr("rename", from, to, errNotExist)
	case old != nil && old.Mode.IsDir():
		return linkErr("rename", from, to, errExist)
	case a == b:
		return nil
	case a == "/":
		return linkErr("rename", from, to, errBusy)
	case e.Mode.IsDir() && strings.HasPrefix(b, a+"/"):
		return linkErr("rename", from, to, errInvalid)
	case e.Mode.IsDir() && old != nil:
		return linkErr("rename", from, to, errNotDir)
	}
	if err := cmp.Or(d.denied(a, false), d.denied(b, false)); err != nil {
		return linkErr("rename", from, to, err)
	}
	for _, p := range d.Walk(a) {
		sub := d.Entries[p]
		d.drop(p)
		d.put(b+strings.TrimPrefix(p, a), sub)
	}
	d.changed("rename", b, e)
	return nil
}

// Chmod changes the permission bits, also setuid, setgid and sticky.
func (d *Disk) Chmod(name string, mode fs.FileMode) error {
	p, err := d.Resolve("chmod", name, true)
	if err != nil {
		return err
	}
	e := d.Entries[p]
	if e == nil {
		return pathErr("chmod", name, errNotExist)
	}
	if err := d.denied(p, false); err != nil {
		return pathErr("chmod", name, err)
	}
	n := *e
	n.Mode = e.Mode.Type() | mode&settable
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
	if err := d.denied(p, false); err != nil {
		return pathErr("chtimes", name, err)
	}
	n := *e
	n.Time = t
	d.put(p, &n)
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
	return slices.Clone(d.children(p)), nil
}

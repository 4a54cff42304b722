package sim

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/hack-pad/hackpadfs"
)

// FS is the disk as a file system of hackpadfs: paths are relative to the root
// ("etc/hostname", "." for "/"), also in errors. What is changed is stamped
// with now. As for root on Linux, permissions stop nobody.
//
// Calls through one FS take turns; calls on the Disk beside it do not.
func (d *Disk) FS(now func() time.Time) hackpadfs.FS { return &diskFS{disk: d, now: now} }

type diskFS struct {
	mu   sync.Mutex
	disk *Disk
	now  func() time.Time
}

var (
	_ hackpadfs.OpenFileFS  = (*diskFS)(nil)
	_ hackpadfs.CreateFS    = (*diskFS)(nil)
	_ hackpadfs.MkdirFS     = (*diskFS)(nil)
	_ hackpadfs.MkdirAllFS  = (*diskFS)(nil)
	_ hackpadfs.RemoveFS    = (*diskFS)(nil)
	_ hackpadfs.RemoveAllFS = (*diskFS)(nil)
	_ hackpadfs.RenameFS    = (*diskFS)(nil)
	_ hackpadfs.StatFS      = (*diskFS)(nil)
	_ hackpadfs.LstatFS     = (*diskFS)(nil)
	_ hackpadfs.SymlinkFS   = (*diskFS)(nil)
	_ hackpadfs.ChmodFS     = (*diskFS)(nil)
	_ hackpadfs.ChtimesFS   = (*diskFS)(nil)
	_ hackpadfs.ReadDirFS   = (*diskFS)(nil)
	_ hackpadfs.ReadFileFS  = (*diskFS)(nil)
	_ hackpadfs.WriteFileFS = (*diskFS)(nil)
	_ fs.ReadLinkFS         = (*diskFS)(nil)
)

// on runs f with the disk's own path for name, alone, and says its errors with
// relative paths.
func (f *diskFS) on(op, name string, do func(p string) error) error {
	if !fs.ValidPath(name) {
		return pathErr(op, name, errInvalid)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return relative(do(path.Join("/", name)))
}

// relative rewrites the paths of a new error.
func relative(err error) error {
	strip := func(p string) string {
		if p == "/" {
			return "."
		}
		return strings.TrimPrefix(p, "/")
	}
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		e.Path = strip(e.Path)
	}
	if e := (*hackpadfs.LinkError)(nil); errors.As(err, &e) {
		e.New = strip(e.New)
		if e.Op == "rename" {
			e.Old = strip(e.Old)
		}
	}
	return err
}

// Open opens for reading.
func (f *diskFS) Open(name string) (hackpadfs.File, error) {
	return f.OpenFile(name, hackpadfs.FlagReadOnly, 0)
}

// Create opens for reading and writing; what was in the file is gone.
func (f *diskFS) Create(name string) (hackpadfs.File, error) {
	return f.OpenFile(name, hackpadfs.FlagReadWrite|hackpadfs.FlagCreate|hackpadfs.FlagTruncate, 0o666)
}

// OpenFile opens as open(2) does.
func (f *diskFS) OpenFile(name string, flag int, perm hackpadfs.FileMode) (out hackpadfs.File, err error) {
	err = f.on("open", name, func(p string) error {
		real, err := f.disk.Resolve("open", p, flag&hackpadfs.FlagExclusive == 0)
		if err != nil {
			return err
		}
		e := f.disk.Entries[real]
		writes := flag&(hackpadfs.FlagWriteOnly|hackpadfs.FlagReadWrite) != 0
		switch create := flag&hackpadfs.FlagCreate != 0; {
		case e == nil && !create:
			return pathErr("open", p, errNotExist)
		case e != nil && create && flag&hackpadfs.FlagExclusive != 0:
			return pathErr("open", p, errExist)
		case e != nil && e.Mode.IsDir() && (writes || create):
			return pathErr("open", p, errIsDir)
		case e == nil, flag&hackpadfs.FlagTruncate != 0 && len(e.Data) > 0:
			if err := f.disk.WriteFile(p, nil, perm, f.now()); err != nil {
				return err
			}
		}
		out = &openFile{fs: f, name: name, path: real, flag: flag, last: f.disk.Entries[real]}
		return nil
	})
	return out, err
}

// Mkdir makes one directory.
func (f *diskFS) Mkdir(name string, perm hackpadfs.FileMode) error {
	return f.on("mkdir", name, func(p string) error { return f.disk.Mkdir(p, perm, f.now()) })
}

// MkdirAll makes a directory and what is missing above it.
func (f *diskFS) MkdirAll(name string, perm hackpadfs.FileMode) error {
	return f.on("mkdir", name, func(p string) error { return f.disk.MkdirAll(p, perm, f.now()) })
}

// Remove removes a file, a link or an empty directory.
func (f *diskFS) Remove(name string) error { return f.on("remove", name, f.disk.Remove) }

// RemoveAll removes what is there and all in it.
func (f *diskFS) RemoveAll(name string) error { return f.on("remove", name, f.disk.RemoveAll) }

// Rename moves a file, a link or a directory.
func (f *diskFS) Rename(from, to string) error {
	if !fs.ValidPath(to) {
		return linkErr("rename", from, to, errInvalid)
	}
	return f.on("rename", from, func(p string) error { return f.disk.Rename(p, path.Join("/", to)) })
}

// Symlink makes name a link to target, which is kept as it is: relative to the
// link's directory, or absolute.
func (f *diskFS) Symlink(target, name string) error {
	return f.on("symlink", name, func(p string) error { return f.disk.Symlink(target, p, f.now()) })
}

// ReadLink returns a link's target as it was given.
func (f *diskFS) ReadLink(name string) (target string, err error) {
	err = f.on("readlink", name, func(p string) error { target, err = f.disk.ReadLink(p); return err })
	return target, err
}

// Chmod changes the permission bits of what name leads to.
func (f *diskFS) Chmod(name string, mode hackpadfs.FileMode) error {
	return f.on("chmod", name, func(p string) error { return f.disk.Chmod(p, mode) })
}

// Chtimes changes the modification time; a disk keeps no other.
func (f *diskFS) Chtimes(name string, _, modified time.Time) error {
	return f.on("chtimes", name, func(p string) error { return f.disk.Chtimes(p, modified) })
}

// Stat describes what name leads to.
func (f *diskFS) Stat(name string) (hackpadfs.FileInfo, error) {
	return f.stat("stat", name, f.disk.Stat)
}

// Lstat describes what is at name, also a link.
func (f *diskFS) Lstat(name string) (hackpadfs.FileInfo, error) {
	return f.stat("lstat", name, f.disk.Lstat)
}

func (f *diskFS) stat(op, name string, get func(string) (*Entry, error)) (out hackpadfs.FileInfo, err error) {
	err = f.on(op, name, func(p string) error {
		e, err := get(p)
		if err == nil {
			out = info{path.Base(name), e}
		}
		return err
	})
	return out, err
}

// ReadFile returns a file's content.
func (f *diskFS) ReadFile(name string) (data []byte, err error) {
	err = f.on("open", name, func(p string) error { data, err = f.disk.ReadFile(p); return err })
	return bytes.Clone(data), err
}

// WriteFile makes or overwrites a file; mode counts for a new one only.
func (f *diskFS) WriteFile(name string, data []byte, perm hackpadfs.FileMode) error {
	return f.on("open", name, func(p string) error { return f.disk.WriteFile(p, data, perm, f.now()) })
}

// ReadDir describes what is in a directory, sorted by name.
func (f *diskFS) ReadDir(name string) (out []hackpadfs.DirEntry, err error) {
	err = f.on("open", name, func(p string) error {
		names, err := f.disk.ReadDir(p)
		if err != nil {
			return err
		}
		dir, err := f.disk.Resolve("open", p, true)
		out = f.list(dir, names)
		return err
	})
	return out, err
}

// list describes those of the names in a directory that are still there.
func (f *diskFS) list(dir string, names []string) []hackpadfs.DirEntry {
	out := []hackpadfs.DirEntry{}
	for _, n := range names {
		if e := f.disk.Entries[path.Join(dir, n)]; e != nil {
			out = append(out, fs.FileInfoToDirEntry(info{n, e}))
		}
	}
	return out
}

// info describes an entry. Entries never change, so it is a snapshot.
type info struct {
	name string
	e    *Entry
}

// dirSize is what ls -l says of a small directory on ext4.
const dirSize = 4096

func (i info) Name() string       { return i.name }
func (i info) Mode() fs.FileMode  { return i.e.Mode }
func (i info) ModTime() time.Time { return i.e.Time }
func (i info) IsDir() bool        { return i.e.Mode.IsDir() }
func (i info) Sys() any           { return nil }
func (i info) Size() int64 {
	if i.IsDir() {
		return dirSize
	}
	return int64(len(i.e.Data) + len(i.e.Target))
}

package sim

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/hack-pad/hackpadfs"
)

// openFile is an open file or directory of a diskFS. A file that is removed
// while it is open can be read on; what is written to it is lost with it.
type openFile struct {
	fs *diskFS
	// name is as it was opened, path where that led to.
	name, path string
	flag       int
	offset     int64
	// last is the entry as this file last saw it.
	last *Entry
	// names are what a directory had when it was first read, from offset on.
	names  []string
	closed bool
}

var (
	_ hackpadfs.ReadWriterFile = (*openFile)(nil)
	_ hackpadfs.ReaderAtFile   = (*openFile)(nil)
	_ hackpadfs.WriterAtFile   = (*openFile)(nil)
	_ hackpadfs.DirReaderFile  = (*openFile)(nil)
	_ hackpadfs.SeekerFile     = (*openFile)(nil)
	_ hackpadfs.SyncerFile     = (*openFile)(nil)
	_ hackpadfs.TruncaterFile  = (*openFile)(nil)
	_ hackpadfs.ChmoderFile    = (*openFile)(nil)
	_ hackpadfs.ChtimeserFile  = (*openFile)(nil)
)

var errNegative = errors.New("negative offset")

// access is what an operation needs of an open file.
type access int

const (
	anyhow  access = iota
	reading        // a file that was opened for reading
	writing        // a file that was opened for writing
	listing        // a directory
)

// on runs do, alone, if the file is open and can be used in that way.
func (o *openFile) on(op string, a access, do func() error) error {
	o.fs.mu.Lock()
	defer o.fs.mu.Unlock()
	if e := o.fs.disk.Entries[o.path]; e != nil {
		o.last = e
	}
	mode := o.flag & (hackpadfs.FlagWriteOnly | hackpadfs.FlagReadWrite)
	var err error
	switch dir := o.last.Mode.IsDir(); {
	case o.closed:
		err = fs.ErrClosed
	case a == reading && dir:
		err = errIsDir
	case a == listing && !dir:
		err = errNotDir
	case a == reading && mode == hackpadfs.FlagWriteOnly, a == writing && mode == hackpadfs.FlagReadOnly:
		err = errBadFile
	default:
		err = do()
	}
	if err == nil || err == io.EOF {
		return err
	}
	return pathErr(op, o.name, err)
}

// store changes the file's entry, if it is still there.
func (o *openFile) store(op string, change func(e *Entry)) {
	e := *o.last
	change(&e)
	if o.fs.disk.Entries[o.path] != nil {
		o.fs.disk.set(op, o.path, &e)
	}
	o.last = &e
}

// Read reads on from where the last read or write ended.
func (o *openFile) Read(p []byte) (n int, err error) {
	err = o.on("read", reading, func() error {
		n, err = o.readAt(p, o.offset)
		o.offset += int64(n)
		if n > 0 {
			return nil
		}
		return err
	})
	return n, err
}

// ReadAt reads from an offset; less than asked for comes with io.EOF.
func (o *openFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = o.on("readat", reading, func() error {
		n, err = o.readAt(p, off)
		return err
	})
	return n, err
}

func (o *openFile) readAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errNegative
	}
	if data := o.last.Data; off < int64(len(data)) {
		n = copy(p, data[off:])
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Write writes on from where the last read or write ended, or with the append
// flag to the end of the file.
func (o *openFile) Write(p []byte) (n int, err error) {
	err = o.on("write", writing, func() error {
		if o.flag&hackpadfs.FlagAppend != 0 {
			o.offset = int64(len(o.last.Data))
		}
		n, err = o.writeAt(p, o.offset)
		o.offset += int64(n)
		return err
	})
	return n, err
}

// WriteAt writes from an offset; a gap before it is filled with zeros.
func (o *openFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = o.on("writeat", writing, func() error {
		n, err = o.writeAt(p, off)
		return err
	})
	return n, err
}

func (o *openFile) writeAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errNegative
	}
	o.store("write", func(e *Entry) {
		// Data is shared with clones: always a new one.
		data := make([]byte, max(int64(len(e.Data)), off+int64(len(p))))
		copy(data, e.Data)
		copy(data[off:], p)
		e.Data, e.Time = data, o.fs.now()
	})
	return len(p), nil
}

// Truncate cuts the file or fills it up with zeros.
func (o *openFile) Truncate(size int64) error {
	return o.on("truncate", writing, func() error {
		if size < 0 {
			return errInvalid
		}
		o.store("write", func(e *Entry) {
			data := make([]byte, size)
			copy(data, e.Data)
			e.Data, e.Time = data, o.fs.now()
		})
		return nil
	})
}

// Seek sets where the next read or write begins; of a directory, where the
// next listing does.
func (o *openFile) Seek(offset int64, whence int) (at int64, err error) {
	err = o.on("seek", anyhow, func() error {
		from := map[int]int64{io.SeekStart: 0, io.SeekCurrent: o.offset, io.SeekEnd: int64(len(o.last.Data))}
		base, ok := from[whence]
		if !ok || base+offset < 0 {
			return errInvalid
		}
		o.offset = base + offset
		at = o.offset
		return nil
	})
	return at, err
}

// ReadDir describes the next n of what was in the directory when it was first
// read, with io.EOF when there is no more; n <= 0 means all, and no io.EOF.
func (o *openFile) ReadDir(n int) (out []hackpadfs.DirEntry, err error) {
	err = o.on("readdirent", listing, func() error {
		if o.offset == 0 {
			o.names = append([]string(nil), o.fs.disk.children(o.path)...)
		}
		rest := o.names[min(o.offset, int64(len(o.names))):]
		if n > 0 && len(rest) == 0 {
			return io.EOF
		}
		if n > 0 {
			rest = rest[:min(n, len(rest))]
		}
		o.offset += int64(len(rest))
		out = o.fs.list(o.path, rest)
		return nil
	})
	return out, err
}

// Stat describes the file as it is now.
func (o *openFile) Stat() (out hackpadfs.FileInfo, err error) {
	err = o.on("stat", anyhow, func() error {
		out = info{path.Base(o.name), o.last}
		return nil
	})
	return out, err
}

// Chmod changes the permission bits.
func (o *openFile) Chmod(mode hackpadfs.FileMode) error {
	return o.on("chmod", anyhow, func() error {
		o.store("chmod", func(e *Entry) { e.Mode = e.Mode.Type() | mode&settable })
		return nil
	})
}

// Chtimes changes the modification time.
func (o *openFile) Chtimes(_, modified time.Time) error {
	return o.on("chtimes", anyhow, func() error {
		o.store("chtimes", func(e *Entry) { e.Time = modified })
		return nil
	})
}

// Sync does nothing: a disk has no cache.
func (o *openFile) Sync() error { return o.on("sync", anyhow, func() error { return nil }) }

// Close ends the use of the file; a second one is an error.
func (o *openFile) Close() error {
	return o.on("close", anyhow, func() error { o.closed = true; return nil })
}

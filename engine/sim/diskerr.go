package sim

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/hack-pad/hackpadfs"
)

// errno is an error as Linux words it. The words of syscall.Errno are others
// in a browser, so they are here; Is knows both of what it stands for.
type errno struct {
	text string
	is   []error
}

func (e *errno) Error() string        { return e.text }
func (e *errno) Is(target error) bool { return slices.Contains(e.is, target) }

var (
	errNotExist = &errno{"no such file or directory", []error{fs.ErrNotExist}}
	errExist    = &errno{"file exists", []error{fs.ErrExist}}
	errIsDir    = &errno{"is a directory", []error{hackpadfs.ErrIsDir}}
	errNotDir   = &errno{"not a directory", []error{hackpadfs.ErrNotDir}}
	errNotEmpty = &errno{"directory not empty", []error{hackpadfs.ErrNotEmpty, fs.ErrExist}}
	errInvalid  = &errno{"invalid argument", []error{hackpadfs.ErrInvalid, fs.ErrInvalid}}
	errLoop     = &errno{text: "too many levels of symbolic links"}
	errBusy     = &errno{text: "device or resource busy"}
	errReadOnly = &errno{text: "read-only file system"}
	errNoSpace  = &errno{text: "no space left on device"}
	errBadFile  = &errno{text: "bad file descriptor"}
)

func pathErr(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// linkErr is about two names; of what was wrong with one of them it keeps the
// cause only.
func linkErr(op, old, new string, err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return &hackpadfs.LinkError{Op: op, Old: old, New: new, Err: err}
}

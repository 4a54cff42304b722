package sim_test

import (
	"io"
	"io/fs"
	"testing"
	gofstest "testing/fstest"
	"time"

	"github.com/hack-pad/hackpadfs"
	"github.com/hack-pad/hackpadfs/fstest"
	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/sim"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func clock() time.Time { return start.Add(time.Minute) }

// hackpadfs' own suites, with the bits of modes compared, which by default they
// are not. One row forgets ModeDir of a directory; IsDir is compared anyway.
func TestFSSuites(t *testing.T) {
	options := fstest.FSOptions{
		Name: "disk",
		TestFS: func(testing.TB) fstest.SetupFS {
			return sim.NewDisk(start).FS(clock).(fstest.SetupFS)
		},
		Constraints: fstest.Constraints{FileModeMask: ^fs.ModeDir},
	}
	fstest.FS(t, options)
	fstest.File(t, options)
}

// And that of the standard library.
func TestFSOfTheStandardLibrary(t *testing.T) {
	d := sim.NewDisk(start)
	require.NoError(t, d.MkdirAll("/etc/kubernetes/pki", 0o755, start))
	require.NoError(t, d.WriteFile("/etc/kubernetes/pki/ca.crt", []byte("x"), 0o644, start))
	require.NoError(t, d.WriteFile("/etc/hostname", []byte("node-1\n"), 0o644, start))
	require.NoError(t, d.Symlink("kubernetes/pki/ca.crt", "/etc/ca", start))
	require.NoError(t, d.Symlink("/etc/kubernetes", "/etc/k", start))
	require.NoError(t, gofstest.TestFS(d.FS(clock), "etc/hostname", "etc/kubernetes/pki/ca.crt", "etc/ca"))
}

func TestFSLinks(t *testing.T) {
	d := sim.NewDisk(start)
	f := d.FS(clock)
	require.NoError(t, hackpadfs.MkdirAll(f, "var/lib", 0o755))
	require.NoError(t, hackpadfs.WriteFullFile(f, "var/lib/a", []byte("A"), 0o600))
	require.NoError(t, hackpadfs.Symlink(f, "a", "var/lib/current"))
	target, err := fs.ReadLink(f, "var/lib/current")
	require.NoError(t, err)
	require.Equal(t, "a", target, "as it was given")
	data, err := hackpadfs.ReadFile(f, "var/lib/current")
	require.NoError(t, err)
	require.Equal(t, "A", string(data))
	at, err := hackpadfs.Lstat(f, "var/lib/current")
	require.NoError(t, err)
	require.Equal(t, fs.ModeSymlink, at.Mode().Type())
	require.Equal(t, clock(), at.ModTime(), "stamped with the time that was given")

	_, err = fs.ReadLink(f, "var/lib/a")
	require.EqualError(t, err, "readlink var/lib/a: invalid argument")
	require.EqualError(t, hackpadfs.Symlink(f, "b", "var/lib/a"), "symlink b var/lib/a: file exists")
	require.EqualError(t, hackpadfs.Rename(f, "var/lib/x", "var/lib/y"), "rename var/lib/x var/lib/y: no such file or directory")
	require.EqualError(t, hackpadfs.Rename(f, "var/lib/a", "../y"), "rename var/lib/a ../y: invalid argument")
	_, err = f.Open("/etc")
	require.EqualError(t, err, "open /etc: invalid argument", "not an fs.ValidPath")

	// Removing a link to a directory leaves the directory alone.
	require.NoError(t, hackpadfs.Symlink(f, "lib", "var/link"))
	require.NoError(t, hackpadfs.RemoveAll(f, "var/link"))
	_, err = hackpadfs.Stat(f, "var/lib/a")
	require.NoError(t, err)
}

func TestFSOpenFile(t *testing.T) {
	d := sim.NewDisk(start)
	var ops []string
	d.Changed = func(op, name string, _ *sim.Entry) { ops = append(ops, op+" "+name) }
	f := d.FS(clock)
	w, err := hackpadfs.OpenFile(f, "log", hackpadfs.FlagWriteOnly|hackpadfs.FlagCreate|hackpadfs.FlagExclusive, 0o640)
	require.NoError(t, err)
	_, err = hackpadfs.OpenFile(f, "log", hackpadfs.FlagWriteOnly|hackpadfs.FlagCreate|hackpadfs.FlagExclusive, 0o640)
	require.EqualError(t, err, "open log: file exists")
	_, err = hackpadfs.WriteFile(w, []byte("one"))
	require.NoError(t, err)
	clone := d.Clone()
	_, err = hackpadfs.WriteFile(w, []byte(" two"))
	require.NoError(t, err)
	_, err = w.Read(make([]byte, 1))
	require.EqualError(t, err, "read log: bad file descriptor")
	require.Equal(t, []string{"write /log", "write /log", "write /log"}, ops, "the world sees what is written")
	data, err := clone.ReadFile("/log")
	require.NoError(t, err)
	require.Equal(t, "one", string(data), "a clone keeps what it had")

	r, err := f.Open("log")
	require.NoError(t, err)
	require.NoError(t, hackpadfs.Remove(f, "log"))
	data, err = io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "one two", string(data), "a removed file can be read on")
	_, err = hackpadfs.WriteFile(w, []byte("lost"))
	require.NoError(t, err)
	_, err = d.Stat("/log")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	require.EqualError(t, err, "read log: file already closed")
}

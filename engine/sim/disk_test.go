package sim_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/sim"
)

// Errors are worded as Linux and package os word them.
func TestDiskErrors(t *testing.T) {
	d := sim.NewDisk(start)
	require.NoError(t, d.MkdirAll("/etc/empty", 0o755, start))
	require.NoError(t, d.MkdirAll("/etc/full", 0o755, start))
	require.NoError(t, d.WriteFile("/etc/full/f", []byte("x"), 0o644, start))
	require.NoError(t, d.WriteFile("/etc/f", []byte("x"), 0o644, start))
	require.NoError(t, d.Symlink("loop", "/etc/loop", start))
	require.NoError(t, d.Symlink("nothing", "/etc/dangling", start))
	read := func(name string) error { _, err := d.ReadFile(name); return err }
	list := func(name string) error { _, err := d.ReadDir(name); return err }
	for want, err := range map[string]error{
		"open /x: no such file or directory":                read("/x"),
		"open /x/y: no such file or directory":              read("/x/y"),
		"open /x/../etc/f: no such file or directory":       read("/x/../etc/f"),
		"open /etc/f/y: not a directory":                    read("/etc/f/y"),
		"open /etc/loop: too many levels of symbolic links": read("/etc/loop"),
		"open /etc/dangling: no such file or directory":     read("/etc/dangling"),
		"read /etc: is a directory":                         read("/etc"),
		"open etc: invalid argument":                        read("etc"),
		"open /x/f: no such file or directory":              d.WriteFile("/x/f", nil, 0o644, start),
		"open /etc: is a directory":                         d.WriteFile("/etc", nil, 0o644, start),
		"mkdir /etc: file exists":                           d.Mkdir("/etc", 0o755, start),
		"mkdir /etc/dangling: file exists":                  d.Mkdir("/etc/dangling", 0o755, start),
		"mkdir /x/y: no such file or directory":             d.Mkdir("/x/y", 0o755, start),
		"mkdir /etc/f: not a directory":                     d.MkdirAll("/etc/f/y", 0o755, start),
		"remove /x: no such file or directory":              d.Remove("/x"),
		"remove /etc/full: directory not empty":             d.Remove("/etc/full"),
		"remove /: device or resource busy":                 d.Remove("/"),
		"rename /x /y: no such file or directory":           d.Rename("/x", "/y"),
		"rename /etc/f /x/y: no such file or directory":     d.Rename("/etc/f", "/x/y"),
		"rename /etc/f /etc/f/y: not a directory":           d.Rename("/etc/f", "/etc/f/y"),
		"rename /etc/f /etc/empty: file exists":             d.Rename("/etc/f", "/etc/empty"),
		"rename /etc/full /etc/empty: file exists":          d.Rename("/etc/full", "/etc/empty"),
		"rename /etc/full /etc/f: not a directory":          d.Rename("/etc/full", "/etc/f"),
		"rename /etc/full /etc/full/y: invalid argument":    d.Rename("/etc/full", "/etc/full/y"),
		"rename / /y: device or resource busy":              d.Rename("/", "/y"),
		"symlink a /etc/f: file exists":                     d.Symlink("a", "/etc/f", start),
		"symlink a /x/y: no such file or directory":         d.Symlink("a", "/x/y", start),
		"symlink  /etc/y: no such file or directory":        d.Symlink("", "/etc/y", start),
		"chmod /x: no such file or directory":               d.Chmod("/x", 0o600),
		"readdirent /etc/f: not a directory":                list("/etc/f"),
		"open /etc/empty/x: no such file or directory":      list("/etc/empty/x"),
	} {
		require.EqualError(t, err, want)
	}
	require.NoError(t, d.RemoveAll("/x/y"), "nothing there is no error")
	require.NoError(t, d.Rename("/etc/f", "/etc/f"))
}

func TestDiskLinks(t *testing.T) {
	d := sim.NewDisk(start)
	require.NoError(t, d.MkdirAll("/a/b", 0o755, start))
	require.NoError(t, d.Symlink("/a/b", "/to", start))
	require.NoError(t, d.WriteFile("/to/f", []byte("1"), 0o644, start))
	real, err := d.Resolve("stat", "/to/../f", true)
	require.NoError(t, err)
	require.Equal(t, "/a/f", real, "a kernel goes up from where the link led to")
	require.NoError(t, d.Symlink("f", "/a/b/current", start))
	// The kubelet's store replaces a link by a rename over it.
	require.NoError(t, d.WriteFile("/a/b/g", []byte("2"), 0o644, start))
	require.NoError(t, d.Symlink("g", "/a/b/updated", start))
	require.NoError(t, d.Rename("/a/b/updated", "/a/b/current"))
	data, err := d.ReadFile("/to/current")
	require.NoError(t, err)
	require.Equal(t, "2", string(data))
	data, err = d.ReadFile("/a/b/f")
	require.NoError(t, err)
	require.Equal(t, "1", string(data), "the link was replaced, not what it led to")
	require.NoError(t, d.Chmod("/to", fs.ModeSticky|0o777))
	e, err := d.Stat("/a/b")
	require.NoError(t, err)
	require.Equal(t, fs.ModeDir|fs.ModeSticky|0o777, e.Mode)
}

// plainly lists a directory by looking at everything.
func plainly(d *sim.Disk, dir string) []string {
	var out []string
	for p := range d.Entries {
		if p != "/" && path.Dir(p) == dir {
			out = append(out, path.Base(p))
		}
	}
	slices.Sort(out)
	return out
}

// After any operations each directory lists what is in it, also in a clone
// and after a round trip through JSON.
func TestDiskListsStayInStep(t *testing.T) {
	for seed := range 50 {
		d := sim.NewDisk(start)
		chance := &sim.Chance{Seed: fmt.Sprint(seed)}
		name := func() string {
			var b strings.Builder
			for range 1 + chance.N("depth", 3) {
				b.WriteString("/" + string(rune('a'+chance.N("name", 4))))
			}
			return b.String()
		}
		for step := range 200 {
			switch a, b := name(), name(); chance.N("op", 8) {
			case 0, 1:
				_ = d.WriteFile(a, []byte("x"), 0o644, start)
			case 2, 3:
				_ = d.MkdirAll(a, 0o755, start)
			case 4:
				_ = d.Remove(a)
			case 5:
				_ = d.Rename(a, b)
			case 6:
				_ = d.Symlink(b, a, start)
			case 7:
				if chance.N("all", 4) == 0 {
					_ = d.RemoveAll(a)
				}
			}
			if step == 100 {
				old := d
				d = d.Clone()
				require.NoError(t, d.WriteFile("/of-clone", nil, 0o644, start))
				names, _ := old.ReadDir("/")
				require.NotContains(t, names, "of-clone")
			}
			for p, e := range d.Entries {
				up := d.Entries[path.Dir(p)]
				require.True(t, up != nil && up.Mode.IsDir(), "%s hangs in the air", p)
				if !e.Mode.IsDir() {
					continue
				}
				names, err := d.ReadDir(p)
				require.NoError(t, err)
				require.Equal(t, plainly(d, p), names, "seed %d step %d %s", seed, step, p)
			}
		}
		b, err := json.Marshal(d)
		require.NoError(t, err)
		var back sim.Disk
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, d.Walk("/"), back.Walk("/"))
		require.Equal(t, len(d.Entries), len(d.Walk("/")))
		require.True(t, slices.IsSorted(d.Walk("/")))
	}
}

// Who writes to Entries directly gets no stale lists.
func TestDiskSeesDirectWrites(t *testing.T) {
	d := sim.NewDisk(start)
	require.Equal(t, []string{"/"}, d.Walk("/"))
	d.Entries["/f"] = &sim.Entry{Mode: 0o644, Time: start}
	require.Equal(t, []string{"/", "/f"}, d.Walk("/"))
}

func BenchmarkReadDir(b *testing.B) {
	d := sim.NewDisk(start)
	require.NoError(b, d.MkdirAll("/few", 0o755, start))
	require.NoError(b, d.WriteFile("/few/f", nil, 0o644, start))
	require.NoError(b, d.MkdirAll("/many", 0o755, start))
	for i := range 1000 {
		require.NoError(b, d.WriteFile(fmt.Sprintf("/many/%d", i), nil, 0o644, start))
	}
	for b.Loop() {
		if _, err := d.ReadDir("/few"); err != nil {
			b.Fatal(err)
		}
	}
}

package shell

import (
	"encoding/base64"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
)

// inputs calls f with each named file's content, or standard input.
func (p *process) inputs(names []string, f func(name string, data []byte)) int {
	status := 0
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, n := range names {
		var b []byte
		var err error
		if n == "-" {
			b, err = io.ReadAll(p.in)
		} else {
			b, err = p.readFile(p.path(n))
		}
		if err != nil {
			status = p.fail(1, "%s: %s: %s", p.name, n, linux(err))
			continue
		}
		f(n, b)
	}
	return status
}

func cat(p *process) int {
	_, names, err := p.options("u")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	if len(names) == 0 {
		// As it comes: the writer may not have ended.
		io.Copy(p.out, onlyReader{p.in})
		return 0
	}
	return p.inputs(names, func(_ string, b []byte) { p.out.Write(b) })
}

// onlyReader hides other methods, so that io.Copy reads piece by piece.
type onlyReader struct{ io.Reader }

func ll(p *process) int { p.args = append([]string{"-l"}, p.args...); return ls(p) }

func ls(p *process) int {
	opt, names, err := p.options("la1AhLd")
	if err != nil {
		return p.fail(2, "%v", err)
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	_, long := opt['l']
	_, all := opt['a']
	_, dirOnly := opt['d']
	now := p.now().In(p.zone())
	status := 0
	type item struct {
		name string
		e    *sim.Entry
	}
	show := func(items []item) {
		if !long {
			for _, it := range items {
				p.printf("%s\n", it.name)
			}
			return
		}
		width := 1
		for _, it := range items {
			width = max(width, len(itoa(size(it.e))))
		}
		for _, it := range items {
			target := ""
			if it.e.Mode&fs.ModeSymlink != 0 {
				target = " -> " + it.e.Target
			}
			links := 1
			if it.e.Mode.IsDir() {
				links = 2
			}
			p.printf("%s %d root root %*d %s %s%s\n", mode(it.e.Mode), links, width, size(it.e), stamp(it.e.Time, now), it.name, target)
		}
	}
	var plain []item
	var dirs []string
	for _, n := range names {
		e, err := p.stat(p.path(n), !long)
		if err != nil {
			status = p.fail(2, "ls: cannot access '%s': %s", n, linux(err))
			continue
		}
		if e.Mode.IsDir() && !dirOnly {
			dirs = append(dirs, n)
		} else {
			plain = append(plain, item{n, e})
		}
	}
	show(plain)
	for i, n := range dirs {
		if len(names) > 1 {
			if i > 0 || len(plain) > 0 {
				p.printf("\n")
			}
			p.printf("%s:\n", n)
		}
		entries, err := p.readDir(p.path(n))
		if err != nil {
			status = p.fail(2, "ls: cannot open directory '%s': %s", n, linux(err))
			continue
		}
		var items []item
		if all {
			for _, d := range []string{".", ".."} {
				if e, err := p.stat(path.Join(p.path(n), d), true); err == nil {
					items = append(items, item{d, e})
				}
			}
		}
		for _, f := range entries {
			if strings.HasPrefix(f, ".") && !all && opt['A'] == "" {
				continue
			}
			if e, err := p.stat(path.Join(p.path(n), f), false); err == nil {
				items = append(items, item{f, e})
			}
		}
		if long {
			blocks := 0
			for _, it := range items {
				if it.e.Mode&fs.ModeSymlink == 0 { // a link's target stands in its inode
					blocks += (size(it.e) + 4095) / 4096 * 4
				}
			}
			p.printf("total %d\n", blocks)
		}
		show(items)
	}
	return status
}

func size(e *sim.Entry) int {
	switch {
	case e.Mode.IsDir():
		return 4096
	case e.Mode&fs.ModeSymlink != 0:
		return len(e.Target)
	}
	return len(e.Data)
}

func mode(m fs.FileMode) string {
	kind := "-"
	switch {
	case m.IsDir():
		kind = "d"
	case m&fs.ModeSymlink != 0:
		kind = "l"
	}
	return kind + m.Perm().String()[1:]
}

// stamp prints a time in now's zone as GNU ls does: with the hour when it is at most six
// months old, with the year otherwise.
func stamp(t, now time.Time) string {
	const halfYear = 31556952 * time.Second / 2
	if age := now.Sub(t); age < 0 || age > halfYear {
		return t.In(now.Location()).Format("Jan _2  2006")
	}
	return t.In(now.Location()).Format("Jan _2 15:04")
}

func mkdir(p *process) int {
	opt, names, err := p.options("p")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	status := 0
	for _, n := range names {
		err := p.change(func(d *sim.Disk, now time.Time) error {
			if opt['p'] != "" {
				return d.MkdirAll(p.path(n), 0o755, now)
			}
			return d.Mkdir(p.path(n), 0o755, now)
		})
		if err != nil {
			status = p.fail(1, "mkdir: cannot create directory '%s': %s", n, linux(err))
		}
	}
	return status
}

func rm(p *process) int {
	opt, names, err := p.options("rRf")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	deep := opt['r'] != "" || opt['R'] != ""
	status := 0
	for _, n := range names {
		name := p.path(n)
		e, err := p.stat(name, false)
		if err != nil {
			if opt['f'] == "" {
				status = p.fail(1, "rm: cannot remove '%s': %s", n, linux(err))
			}
			continue
		}
		if e.Mode.IsDir() && !deep {
			status = p.fail(1, "rm: cannot remove '%s': Is a directory", n)
			continue
		}
		err = p.change(func(d *sim.Disk, _ time.Time) error {
			all := d.Walk(name)
			slices.Reverse(all)
			for _, f := range all {
				if err := d.Remove(f); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			status = p.fail(1, "rm: cannot remove '%s': %s", n, linux(err))
		}
	}
	return status
}

// into is where a file goes that is put at name: inside it, if it is a directory.
func (p *process) into(name, from string) string {
	if e, err := p.stat(p.path(name), true); err == nil && e.Mode.IsDir() {
		return path.Join(p.path(name), path.Base(from))
	}
	return p.path(name)
}

func cp(p *process) int {
	_, names, err := p.options("f")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	if len(names) != 2 {
		return p.fail(1, "cp: needs one source and one destination")
	}
	to := p.into(names[1], names[0])
	err = p.change(func(d *sim.Disk, now time.Time) error {
		e, err := d.Stat(p.path(names[0]))
		if err != nil {
			return err
		}
		b, err := d.ReadFile(p.path(names[0]))
		if err != nil {
			return err
		}
		return d.WriteFile(to, b, e.Mode.Perm(), now)
	})
	if err != nil {
		return p.fail(1, "cp: cannot copy '%s' to '%s': %s", names[0], names[1], linux(err))
	}
	return 0
}

func mv(p *process) int {
	_, names, err := p.options("f")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	if len(names) != 2 {
		return p.fail(1, "mv: needs one source and one destination")
	}
	to := p.into(names[1], names[0])
	if err := p.change(func(d *sim.Disk, _ time.Time) error { return d.Rename(p.path(names[0]), to) }); err != nil {
		return p.fail(1, "mv: cannot move '%s' to '%s': %s", names[0], names[1], linux(err))
	}
	return 0
}

func ln(p *process) int {
	opt, names, err := p.options("sf")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	if opt['s'] == "" || len(names) != 2 {
		return p.fail(1, "ln: this shell makes symbolic links only: ln -s TARGET NAME")
	}
	name := p.into(names[1], names[0])
	err = p.change(func(d *sim.Disk, now time.Time) error {
		if opt['f'] != "" {
			d.Remove(name)
		}
		return d.Symlink(names[0], name, now)
	})
	if err != nil {
		return p.fail(1, "ln: failed to create symbolic link '%s': %s", names[1], linux(err))
	}
	return 0
}

func readlink(p *process) int {
	opt, names, err := p.options("f")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	if len(names) == 0 {
		return p.fail(1, "readlink: missing operand")
	}
	status := 0
	for _, n := range names {
		if opt['f'] != "" {
			r := p.sys(func(c *sim.Ctx) reply {
				real, err := c.Disk.Resolve("readlink", p.path(n), true)
				r := failed(err)
				r.Text = real
				return r
			})
			if r.Err != "" {
				status = 1
				continue
			}
			p.printf("%s\n", r.Text)
			continue
		}
		e, err := p.stat(p.path(n), false)
		if err != nil || e.Mode&fs.ModeSymlink == 0 {
			status = 1
			continue
		}
		p.printf("%s\n", e.Target)
	}
	return status
}

func chmod(p *process) int {
	_, names, err := p.options("")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	if len(names) < 2 {
		return p.fail(1, "chmod: needs a mode and a file")
	}
	mode, err := strconv.ParseUint(names[0], 8, 9)
	if err != nil {
		return p.fail(1, "chmod: mode '%s' is not in this shell; give it in octal, such as 600", names[0])
	}
	status := 0
	for _, n := range names[1:] {
		if err := p.change(func(d *sim.Disk, _ time.Time) error { return d.Chmod(p.path(n), fs.FileMode(mode)) }); err != nil {
			status = p.fail(1, "chmod: cannot access '%s': %s", n, linux(err))
		}
	}
	return status
}

func touch(p *process) int {
	_, names, err := p.options("")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	for _, n := range names {
		if err := p.writeFile(p.path(n), nil, true); err != nil {
			return p.fail(1, "touch: cannot touch '%s': %s", n, linux(err))
		}
	}
	return 0
}

func tee(p *process) int {
	opt, names, err := p.options("a")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	status := 0
	names = slices.DeleteFunc(names, func(n string) bool {
		err := p.writeFile(p.path(n), nil, opt['a'] != "")
		if err != nil {
			status = p.fail(1, "tee: %s: %s", n, linux(err))
		}
		return err != nil
	})
	// As it comes: the writer may not have ended.
	b := make([]byte, 4096)
	for {
		got, err := p.in.Read(b)
		p.out.Write(b[:got])
		for _, n := range names {
			if got > 0 {
				p.writeFile(p.path(n), slices.Clone(b[:got]), true)
			}
		}
		if err != nil {
			return status
		}
	}
}

func base64Command(p *process) int {
	opt, names, err := p.options("dw:")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	status := 0
	code := p.inputs(names, func(_ string, b []byte) {
		if opt['d'] != "" {
			out, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(b)), ""))
			p.out.Write(out)
			if err != nil {
				status = p.fail(1, "base64: invalid input")
			}
			return
		}
		s := base64.StdEncoding.EncodeToString(b)
		if opt['w'] == "0" {
			p.printf("%s", s)
			return
		}
		for len(s) > 76 {
			p.printf("%s\n", s[:76])
			s = s[76:]
		}
		p.printf("%s\n", s)
	})
	return max(status, code)
}

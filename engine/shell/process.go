package shell

import (
	"fmt"
	"io"
	"strings"

	"mvdan.cc/sh/v3/expand"
)

// process is a running command: its arguments, its streams, and the boundary.
type process struct {
	*live
	name string
	args []string
	dir  string
	env  expand.Environ
	in   io.Reader
	out  io.Writer
	errs io.Writer
}

// commands are all the commands there are, beside the shell's own.
var commands map[string]func(p *process) int

func init() {
	commands = map[string]func(p *process) int{
		"cat": cat, "ls": ls, "ll": ll, "date": date, "timedatectl": timedatectl, "head": head, "tail": tail, "grep": grep, "wc": wc, "sort": sortLines,
		"sleep": sleep, "hostname": hostname, "ip": ip, "whoami": whoami, "mkdir": mkdir, "rm": rm, "cp": cp, "mv": mv, "ln": ln,
		"readlink": readlink, "touch": touch, "tee": tee, "base64": base64Command, "clear": clearScreen, "chmod": chmod, "env": env, "printenv": env,
		"systemctl": systemctl, "journalctl": journalctl, "kubectl": kubectl, "k": kubectl, "kubeadm": kubeadm,
	}
}

// getenv is an exported variable's value.
func (p *process) getenv(name string) string {
	v := p.env.Get(name)
	if !v.Exported {
		return ""
	}
	return v.Str
}

func (p *process) path(name string) string { return abs(p.dir, name) }

func (p *process) printf(format string, a ...any) { fmt.Fprintf(p.out, format, a...) }

// fail says why on stderr, and gives the status.
func (p *process) fail(status int, format string, a ...any) int {
	fmt.Fprintf(p.errs, format+"\n", a...)
	return status
}

// linux is a disk error as a command prints it: the last part of
// "open /x: no such file or directory", with a capital.
func linux(err error) string {
	s := err.Error()
	if i := strings.LastIndex(s, ": "); i >= 0 {
		s = s[i+2:]
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// options splits single-letter options (known, a letter followed by ':' takes
// a value) from operands. The error names the option that is not there.
func (p *process) options(known string) (map[byte]string, []string, error) {
	got := map[byte]string{}
	var rest []string
	args := p.args
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			return got, append(rest, args[i+1:]...), nil
		}
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		if strings.HasPrefix(a, "--") {
			return nil, nil, fmt.Errorf("%s: option '%s' is not in this shell", p.name, a)
		}
		for j := 1; j < len(a); j++ {
			k := strings.IndexByte(known, a[j])
			if a[j] == ':' || k < 0 {
				return nil, nil, fmt.Errorf("%s: option '-%c' is not in this shell", p.name, a[j])
			}
			if k+1 < len(known) && known[k+1] == ':' {
				v := a[j+1:]
				if v == "" {
					if i++; i >= len(args) {
						return nil, nil, fmt.Errorf("%s: option requires an argument -- '%c'", p.name, a[j])
					}
					v = args[i]
				}
				got[a[j]] = v
				break
			}
			got[a[j]] = "true"
		}
	}
	return got, rest, nil
}

package engine

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/client"
)

const unitDir = "/etc/systemd/system/"

// unitFile is what the world reads in a unit file and its drop-ins.
type unitFile struct {
	Description string
	Args        []string
	Docs        []string
	Restart     bool
	// Always: also when it ended as it should.
	Always     bool
	RestartSec time.Duration
	// Interval and Burst: so many starts in that time are too many.
	Interval time.Duration
	Burst    int
	// Env are the variables that the process has.
	Env map[string]string
	// Pod: the unit stands for a pod.
	Pod *client.Pod
}

// unitText is a unit's file and after it its drop-ins, each with its path.
func (m *machine) unitText(name string) (files [][2]string) {
	main := unitDir + name + ".service"
	b, err := m.Disk.ReadFile(main)
	if err != nil {
		return nil
	}
	files = append(files, [2]string{main, string(b)})
	names, _ := m.Disk.ReadDir(main + ".d")
	for _, n := range names {
		if b, err := m.Disk.ReadFile(main + ".d/" + n); err == nil && path.Ext(n) == ".conf" {
			files = append(files, [2]string{main + ".d/" + n, string(b)})
		}
	}
	return files
}

// readUnit reads a unit's files as systemd.exec(5) and systemd.service(5) have
// it, as far as our units need it.
func (m *machine) readUnit(name string) (*unitFile, error) {
	files := m.unitText(name)
	if files == nil {
		return nil, fmt.Errorf("Unit %s.service not found.", name)
	}
	f := &unitFile{RestartSec: 100 * time.Millisecond, Interval: 10 * time.Second, Burst: 5}
	env := map[string]string{}
	for _, file := range files {
		for line := range strings.Lines(strings.ReplaceAll(file[1], "\\\n", " ")) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				m.setting(f, env, key, value)
				f.podSetting(name, key, value)
			}
		}
	}
	f.Args, f.Env = words(f.Args, env), env
	if len(f.Args) == 0 {
		return nil, fmt.Errorf("Unit %s.service has a bad unit file setting.", name)
	}
	return f, nil
}

// setting is one line of a unit file. What stands in an earlier file is
// overruled, but for variables, which are added.
func (m *machine) setting(f *unitFile, env map[string]string, key, value string) {
	switch key {
	case "Description":
		f.Description = value
	case "ExecStart": // an empty one takes the command of the files before away
		f.Args = strings.Fields(value)
	case "Restart":
		f.Restart, f.Always = value == "always" || value == "on-failure", value == "always"
	case "Documentation":
		f.Docs = strings.Fields(value)
	case "RestartSec":
		span(value, &f.RestartSec)
	case "StartLimitIntervalSec", "StartLimitInterval":
		span(value, &f.Interval)
	case "StartLimitBurst":
		if n, err := strconv.ParseUint(value, 10, 16); err == nil {
			f.Burst = int(n)
		}
	case "Environment":
		assign(env, unquote(value))
	case "EnvironmentFile":
		b, _ := m.Disk.ReadFile(strings.TrimPrefix(value, "-"))
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
				assign(env, line)
			}
		}
	}
}

// span reads a time span of systemd.time(7): a number is seconds. What can't be
// read is passed over, as systemd passes it over with a line in its own log.
func span(value string, into *time.Duration) {
	if n, err := strconv.ParseUint(value, 10, 32); err == nil {
		*into = time.Duration(n) * time.Second
	} else if d, err := time.ParseDuration(value); err == nil && d >= 0 {
		*into = d
	}
}

func assign(env map[string]string, text string) {
	if key, value, ok := strings.Cut(text, "="); ok {
		env[key] = unquote(value)
	}
}

func unquote(s string) string {
	if n := len(s); n > 1 && s[0] == s[n-1] && (s[0] == '"' || s[0] == '\'') {
		return s[1 : n-1]
	}
	return s
}

// words puts variables into a command line: $NAME as a word of its own becomes
// as many words as it holds.
func words(args []string, env map[string]string) (out []string) {
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "$"); ok && !strings.HasPrefix(name, "{") {
			out = append(out, strings.Fields(env[name])...)
			continue
		}
		out = append(out, braced(a, env))
	}
	return out
}

// braced puts in each ${NAME}, as it is.
func braced(word string, env map[string]string) string {
	before, rest, ok := strings.Cut(word, "${")
	name, after, closed := strings.Cut(rest, "}")
	if !ok || !closed {
		return word
	}
	return before + env[name] + braced(after, env)
}

// UnitFile is what systemctl cat prints: each file after its path.
func (f face) UnitFile(name string) (file, text string, ok bool) {
	files := f.m.unitText(name)
	for i, x := range files {
		if i == 0 {
			file, text = x[0], x[1]
			continue
		}
		text += "\n# " + x[0] + "\n" + x[1]
	}
	return file, text, len(files) > 0
}

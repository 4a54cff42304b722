package era

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// CommandLine is a command line that a component takes.
type CommandLine struct {
	*pflag.FlagSet
	// Told is what is said of the deprecated flags that it has, in their order.
	Told []string
}

// Refusal is a command line that a component does not take: what was said before, why,
// and how it ends.
type Refusal struct {
	Told   []string
	Why    string
	Ending Ending
}

func (r *Refusal) Error() string { return r.Why }

var (
	// argsRefused: what is no flag is refused.
	argsRefused = row("flags/arguments-refused", Fact[bool]{Since: "1.19", Value: true, Source: "cmd/*/app/server.go, cobra.Command.Args"})
	// badValue: pflag names the argument as it was given, and not just the flag.
	badValue = row("flags/bad-value-as-given", Fact[bool]{Until: "1.10", Value: true, Source: "pflag of Godeps/Godeps.json (9ff6c692, from 1.10 4c012f6d); golden-old 1.7.4/f-flags/16"})
)

// ReadCommandLine reads a command line of a component, without the program's name. The
// flags are those of the release; own are the ones whose values matter to the caller,
// bound to its variables, under all names that they ever had; but for lists they get
// the default of the release. Others are known as soon as they are named. The error is
// a *Refusal.
func ReadCommandLine(e Era, component string, own *pflag.FlagSet, args []string) (CommandLine, error) {
	fs := pflag.NewFlagSet(component, pflag.ContinueOnError)
	var out bytes.Buffer
	fs.SetOutput(&out)
	fs.Usage = func() {}
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	own.VisitAll(func(x *pflag.Flag) {
		f, known := FlagOf(e, component, x.Name)
		if !known {
			return
		}
		if _, list := x.Value.(pflag.SliceValue); !list && f.Default != "" && f.Default != "?" {
			x.Value.Set(f.Default)
			x.DefValue = f.Default
		}
		x.Deprecated = f.Deprecated
		if f.Kind == "gates" {
			x.Value = gatesAtOnce{x.Value, e}
		}
		fs.AddFlag(x)
	})
	for _, a := range args {
		name, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimPrefix(a, "--"), "_", "-"), "=")
		f, known := FlagOf(e, component, name)
		if !known || fs.Lookup(name) != nil || name == "help" && component != "kubelet" { // pflag knows --help
			continue
		}
		defineFlag(fs, f)
		fs.Lookup(name).Deprecated = f.Deprecated
	}
	err := fs.Parse(args)
	c := CommandLine{FlagSet: fs}
	for line := range strings.Lines(out.String()) {
		c.Told = append(c.Told, strings.TrimSuffix(line, "\n"))
	}
	refuse := func(end Ending, why string) (CommandLine, error) { return c, &Refusal{c.Told, why, end} }
	end := FlagsRefused(e, component)
	if bad := (*pflag.InvalidValueError)(nil); errors.As(err, &bad) && badValue.In(e) {
		return refuse(end, fmt.Sprintf("invalid argument %q for %s: %v", bad.GetValue(), given(args, bad), bad.Unwrap()))
	} else if err != nil {
		return refuse(end, err.Error())
	}
	if rest := fs.Args(); len(rest) > 0 {
		if command := kubeletCommands.In(e); component == "kubelet" && command.Lines != nil {
			return refuse(command, rest[0])
		}
		if component != "kubelet" && argsRefused.In(e) {
			return refuse(end, fmt.Sprintf("%q does not take any arguments, got %q", component, rest))
		}
	}
	return c, nil
}

// gatesAtOnce are feature gates that are looked at as soon as they are read.
type gatesAtOnce struct {
	pflag.Value
	era Era
}

func (g gatesAtOnce) Set(value string) error {
	if _, err := g.era.ReadGates([]string{value}); err != nil {
		return err
	}
	return g.Value.Set(value)
}

// given is the argument in which a flag was given a value.
func given(args []string, bad *pflag.InvalidValueError) string {
	name := "--" + bad.GetFlag().Name
	for _, a := range args {
		if a == name || a == name+"="+bad.GetValue() {
			return a
		}
	}
	return name
}

// defineFlag adds a flag whose value is read, so that one that can't be is refused in
// pflag's words, and changes nothing.
func defineFlag(fs *pflag.FlagSet, f Flag) {
	n := f.Name
	switch f.Kind {
	case "bool":
		fs.Bool(n, false, "")
	case "duration":
		fs.Duration(n, 0, "")
	case "int":
		fs.Int(n, 0, "")
	case "int32":
		fs.Int32(n, 0, "")
	case "int64":
		fs.Int64(n, 0, "")
	case "uint":
		fs.Uint(n, 0, "")
	case "float32":
		fs.Float32(n, 0, "")
	case "float64":
		fs.Float64(n, 0, "")
	case "ip":
		fs.IP(n, nil, "")
	case "stringSlice", "int32Slice":
		fs.StringSlice(n, nil, "")
	case "stringArray":
		fs.StringArray(n, nil, "")
	default:
		fs.String(n, "", "")
	}
	if f.Kind == "version" {
		fs.Lookup(n).NoOptDefVal = "true"
	}
}

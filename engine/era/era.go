// Package era is what each Kubernetes release does, as cited facts.
//
// Code asks facts (era.KubeletBackoffSteps.In(e)) and never compares
// versions: a comparison of releases outside this package fails a test.
package era

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Era is one Kubernetes minor release, such as 1.36.
type Era struct{ minor int }

// Oldest and Newest are the minors of 1.x that can be chosen today.
const (
	Oldest = 36
	Newest = 36
)

// At returns the era of a release written "1.36". The error is one sentence
// that says what may be chosen.
func At(release string) (Era, error) {
	minor, err := parse(release)
	if err != nil || minor < Oldest || minor > Newest {
		return Era{}, fmt.Errorf("release %q is not here; choose one of %s", release, strings.Join(Releases(), ", "))
	}
	return Era{minor}, nil
}

// Must is At for releases in our own source. It panics on an unknown one.
func Must(release string) Era {
	e, err := At(release)
	if err != nil {
		panic(err)
	}
	return e
}

// Releases lists what can be chosen, oldest first.
func Releases() []string {
	var out []string
	for m := Oldest; m <= Newest; m++ {
		out = append(out, Era{m}.String())
	}
	return out
}

func (e Era) String() string { return "1." + strconv.Itoa(e.minor) }

// Before is the release before it, "1.35".
func (e Era) Before() string { return Era{e.minor - 1}.String() }

func parse(release string) (int, error) {
	major, minor, ok := strings.Cut(strings.TrimPrefix(release, "v"), ".")
	if !ok || major != "1" {
		return 0, fmt.Errorf("%q is not a release", release)
	}
	return strconv.Atoi(minor)
}

// Fact is one value and the releases that have it: from Since (empty: always)
// up to, not including, Until (empty: until now). Source says where it is from.
type Fact[T any] struct {
	Since, Until string
	Value        T
	Source       string
}

// Row is one question and its answer in each release. A release without a
// fact of its own takes that of the release before.
type Row[T any] struct {
	Name  string
	Facts []Fact[T]
	in    [Newest + 1]T // by minor: facts are asked at every step
}

// rows lists every Row by name, for the matrix.
var rows = map[string]func(Era) string{}

// row defines a Row. It panics when the name is taken or a fact has no source.
func row[T any](name string, facts ...Fact[T]) Row[T] {
	if rows[name] != nil {
		panic("era: two rows named " + name)
	}
	for _, f := range facts {
		if f.Source == "" {
			panic("era: a fact of " + name + " has no source")
		}
	}
	r := Row[T]{Name: name, Facts: facts}
	for minor := range r.in {
		r.in[minor] = r.find(Era{minor})
	}
	rows[name] = func(e Era) string { return fmt.Sprintf("%v", r.In(e)) }
	return r
}

// In returns the row's value in an era; the zero value where no fact holds.
func (r *Row[T]) In(e Era) T { return r.in[e.minor] }

func (r *Row[T]) find(e Era) (v T) {
	best := -1
	for _, f := range r.Facts {
		since := 0
		if f.Since != "" {
			since, _ = parse(f.Since)
		}
		if since > e.minor || since < best {
			continue
		}
		if f.Until != "" {
			if until, _ := parse(f.Until); e.minor >= until {
				continue
			}
		}
		best, v = since, f.Value
	}
	return v
}

// Names lists the names of all rows, sorted; Value prints one of them.
func Names() []string {
	var out []string
	for n := range rows {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func Value(name string, e Era) string {
	if f := rows[name]; f != nil {
		return f(e)
	}
	return ""
}

// Package era is what each Kubernetes release does, as cited facts.
//
// Code asks facts (era.KubeletBackoffSteps.In(e)) and never compares
// versions: a comparison of releases outside this package fails a test.
package era

import (
	"fmt"
	"strconv"
	"strings"
)

// Era is one Kubernetes minor release, such as 1.36.
type Era struct{ minor int }

// Oldest and Newest are the minors of 1.x that can be chosen; Usual is the one
// that a world has when nothing else is said: the newest that is released.
const (
	Oldest = 7
	Newest = 37
	Usual  = "1.36"
)

// At returns the era of a release written "1.36". The error is one sentence
// that says what may be chosen.
func At(release string) (Era, error) {
	minor, err := parse(release)
	if err != nil || minor < Oldest || minor > Newest {
		return Era{}, fmt.Errorf("release %q is not here; choose one of 1.%d to 1.%d", release, Oldest, Newest)
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

// Older tells whether a release came before another.
func (e Era) Older(than Era) bool { return e.minor < than.minor }

// Minor is the number that /version and kubectl version tell.
func (e Era) Minor() int { return e.minor }

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
	at    [Newest + 1]uint8 // by minor, which fact holds, from 1: facts are asked at every step
}

// rows lists every Row by name, for the matrix.
var rows = map[string]teller{}

// teller is a Row of any kind.
type teller interface {
	told(i uint8) (value any, source string)
	held() *[Newest + 1]uint8
}

// row defines a Row. It panics when the name is taken, when a fact has no
// source or no release, or when two begin with the same one.
func row[T any](name string, facts ...Fact[T]) Row[T] {
	r := Row[T]{Name: name, Facts: facts}
	d := definition{name: name}
	for i := range facts {
		d.fact(facts[i].Since, facts[i].Until, facts[i].Source)
	}
	r.at = d.at
	rows[name] = &r
	return r
}

func (r *Row[T]) told(i uint8) (any, string) { return r.Facts[i-1].Value, r.Facts[i-1].Source }
func (r *Row[T]) held() *[Newest + 1]uint8   { return &r.at }

// definition finds out which fact holds when; it knows no type, so that there is one
// of it in the program.
type definition struct {
	name      string
	n         uint8
	at, begun [Newest + 1]uint8
}

func (d *definition) fact(from, to, source string) {
	if d.n == 0 && rows[d.name] != nil {
		panic("era: two rows named " + d.name)
	}
	if source == "" {
		panic("era: a fact of " + d.name + " has no source")
	}
	d.n++
	since, until := minorOf(d.name, from, 0), minorOf(d.name, to, Newest+1)
	for minor := since; minor < until; minor++ {
		switch {
		case d.at[minor] == 0 || int(d.begun[minor]) < since:
			d.at[minor], d.begun[minor] = d.n, uint8(since)
		case int(d.begun[minor]) == since:
			panic("era: two facts of " + d.name + " begin with the same release")
		}
	}
}

// tell is what a row has in an era, and where that is from; source is empty where no
// fact holds.
func tell(r teller, e Era) (value any, source string) {
	if i := r.held()[e.minor]; i > 0 {
		return r.told(i)
	}
	return nil, ""
}

// minorOf is the minor that a fact begins or ends with.
func minorOf(name, release string, otherwise int) int {
	if release == "" {
		return otherwise
	}
	minor, err := parse(release)
	if err != nil || minor < 0 || minor > Newest+1 {
		panic("era: a fact of " + name + " begins or ends with " + release)
	}
	return minor
}

// In returns the row's value in an era; the zero value where no fact holds.
func (r *Row[T]) In(e Era) (v T) {
	if i := r.at[e.minor]; i > 0 {
		return r.Facts[i-1].Value
	}
	return v
}

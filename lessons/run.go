package lessons

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Patience is how long a session waits for a command, in virtual time. One
// that still runs then is left running, and interrupted when the next line is
// typed at its host.
const Patience = time.Minute

// Failure is an expectation that does not hold. Printed is what was printed
// instead.
type Failure struct {
	Name    string
	Line    int
	Says    string
	Printed string
}

func (f *Failure) Error() string {
	head := fmt.Sprintf("%s:%d: %s", f.Name, f.Line, f.Says)
	if f.Printed == "" {
		return head + "; nothing was printed"
	}
	return head + "; what was printed:\n" + strings.TrimSuffix(f.Printed, "\n")
}

// Check finds the first step that a world can't do: a host that is not there.
func (s *Session) Check(hosts []string) error {
	for _, d := range s.Does {
		var named []string
		switch d.Verb {
		case Type:
			named = []string{d.Host}
		case Set:
			f, _ := engine.ParseFlag(d.Text)
			named = []string{f.Host}
		case Upgrade:
			if u, _ := engine.ParseUpgrade(d.Text); u.Host != "" {
				named = []string{u.Host}
			}
		case Fault:
			f, _ := engine.ParseFault(d.Text, engine.Start)
			named = []string{f.Where.Host}
			if f.Where.Peer != "" {
				named = append(named, f.Where.Peer)
			}
		}
		for _, h := range named {
			if !slices.Contains(hosts, h) {
				return &SyntaxError{s.Name, d.Line, d.Col, fmt.Sprintf("there is no host %q; there are %s", h, strings.Join(hosts, ", "))}
			}
		}
	}
	return nil
}

// slice is how many events of a long step are played before what they made is handed
// on: what a session holds does not grow with the time that it lets pass.
const slice = 2048

// Run plays a session in a world and hands each step's observations to see, in
// order; those of a long one in several calls, all but the last with more. An answer to why comes in the words of s.Words, as a trace.Printed of
// nobody's. The error is a *SyntaxError before anything ran, or the *Failure of
// the first expectation that does not hold.
func (s *Session) Run(w *engine.World, see func(d Do, obs []trace.Observation, more bool)) error {
	if err := s.Check(w.Hosts()); err != nil {
		return err
	}
	var last said
	for _, d := range s.Does {
		var obs []trace.Observation
		switch d.Verb {
		case Type:
			var err error
			if obs, err = w.Say(d.Host, d.Text, Patience); err != nil {
				return fmt.Errorf("%s:%d: %w", s.Name, d.Line, err)
			}
			last = listen(obs, d.Host)
			last.running = w.Busy(d.Host)
		case Advance:
			last = said{}
			for end := w.Now().Add(d.For); w.AdvanceWithin(end, slice) == 0; {
				obs = w.Drain()
				last.listen(obs, "")
				see(d, obs, true)
			}
			obs = w.Drain()
			last.listen(obs, "")
		case Why:
			e, err := w.Why(object(w, d.Text))
			if err != nil {
				return fmt.Errorf("%s:%d: %w", s.Name, d.Line, err)
			}
			says := e.String()
			if s.Words != nil {
				says = s.Words(e)
			}
			obs = []trace.Observation{{At: w.Now(), Kind: trace.Printed, Args: map[string]string{"stream": "stdout"}, Payload: says}}
			last = listen(obs, "")
		case Trust:
			t, err := w.Trust(d.Text)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", s.Name, d.Line, err)
			}
			says := t.String()
			if s.Trusts != nil {
				says = s.Trusts(t)
			}
			obs = []trace.Observation{{At: w.Now(), Kind: trace.Printed, Args: map[string]string{"stream": "stdout"}, Payload: says}}
			last = listen(obs, "")
		case Fault, Lift, Set, Upgrade:
			in := engine.Input{Lift: &engine.Lift{Faults: d.Text}}
			switch d.Verb {
			case Set:
				f, err := engine.ParseFlag(d.Text)
				if err != nil {
					return fmt.Errorf("%s:%d: %w", s.Name, d.Line, err)
				}
				in = engine.Input{Flag: &f}
			case Upgrade:
				u, err := engine.ParseUpgrade(d.Text)
				if err != nil {
					return fmt.Errorf("%s:%d: %w", s.Name, d.Line, err)
				}
				in = engine.Input{Upgrade: &u}
			case Fault:
				f, err := engine.ParseFault(d.Text, w.Now())
				if err != nil {
					return fmt.Errorf("%s:%d: %w", s.Name, d.Line, err)
				}
				in = engine.Input{Fault: &f}
			}
			if err := w.Apply(in); err != nil {
				return fmt.Errorf("%s:%d: %w", s.Name, d.Line, err)
			}
			obs = w.Drain()
			last = listen(obs, "")
		default:
			if why := last.check(d); why != "" {
				return &Failure{s.Name, d.Line, why, last.printed}
			}
			continue
		}
		see(d, obs, false)
	}
	return nil
}

// said is what came back from one step.
type said struct {
	printed string
	status  string
	running bool
}

// listen collects what was printed, by whomever, and the last status at a
// host ("" for any).
func listen(obs []trace.Observation, host string) (s said) {
	s.listen(obs, host)
	return s
}

func (s *said) listen(obs []trace.Observation, host string) {
	var b strings.Builder
	for _, o := range obs {
		switch o.Kind {
		case trace.Printed:
			b.WriteString(o.Payload)
		case trace.Done:
			if host == "" || o.Host() == host {
				s.status = o.Args["status"]
			}
		}
	}
	s.printed += b.String()
}

// check returns why an expectation does not hold, empty when it does.
func (s said) check(d Do) string {
	has := strings.Contains(s.printed, d.Text)
	switch {
	case d.Verb == Expect && !has:
		return fmt.Sprintf("expected %q", d.Text)
	case d.Verb == Refuse && has:
		return fmt.Sprintf("refused %q, and it was printed", d.Text)
	case d.Verb == Exit && s.running:
		return fmt.Sprintf("expected exit status %d, and the command is still running", d.Status)
	case d.Verb == Exit && s.status != strconv.Itoa(d.Status):
		if s.status == "" {
			return fmt.Sprintf("expected exit status %d, and no command ended in this step", d.Status)
		}
		return fmt.Sprintf("expected exit status %d, it was %s", d.Status, s.status)
	}
	return ""
}

// object is what a session asks about: csr/* is the newest request, whose name
// no session can know.
func object(w *engine.World, name string) string {
	if name != "csr/*" {
		return name
	}
	var newest engine.CSRView
	for _, c := range w.View().CSRs {
		if newest.Name == "" || c.Created.After(newest.Created) {
			newest = c
		}
	}
	return "csr/" + newest.Name
}

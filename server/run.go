package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/trace"
	"github.com/joinery-lab/joinery/lessons"
	"github.com/joinery-lab/joinery/web/desk"
)

// sessionLimit is how long a session may be, in bytes.
const sessionLimit = 4 << 20

type runOptions struct {
	seed, release, export string
	controlPlanes         int
	scenario              string
	json                  bool
}

func runCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Play a session (- for standard input) and print what each host printed",
		Long: `Play a session in a world of its own and print what each host printed.

One step a line:
  admin$ kubectl get csr            a line typed at a host; it may go on with a here-document
  advance 30s                       let time pass (also 5m, 2h, 300d)
  fault add link node-1 control-1 drop 30% for 5m
                                    let something go wrong; fault end NAME or all ends it
  flag control-1/kube-apiserver --v=5
                                    set a flag in a unit file and restart the unit; an empty value removes it
  upgrade 1.9                       install another release on all hosts and start it; upgrade node-1 1.9 on one
  why node/node-1                   say what keeps it as it is (also csr/NAME, csr/* for the newest,
                                    unit/HOST/UNIT, cert/HOST/PATH, token/ID,
                                    apiservice/NAME; secret, lease, pod,
                                    serviceaccount and configmap/NS/NAME)
  trust                             say who trusts whom, and what would break if the old CA went now;
                                    trust KEYID or LETTER asks about another one
  expect TEXT                       the step before printed this, on stdout or stderr
  refuse TEXT                       the step before did not print this
  exit 1                            the step before ended with this status
  # a comment

Exit status: 0; 1 with the first expectation that does not hold; 2 for a file that can't be read.`,
		Args: oneArg("session"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(args[0], c.InOrStdin(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.seed, "seed", "1", "what keys, names and chance are derived from")
	f.StringVar(&o.release, "release", era.Usual, "the Kubernetes release")
	f.IntVar(&o.controlPlanes, "control-planes", 1, "how many hosts run the control plane: 1, or 3 behind one address")
	f.StringVar(&o.scenario, "scenario", "", "begin with another world: empty, hosts on which nobody has typed kubeadm; or kubeadm, a cluster as kubeadm init leaves it")
	f.BoolVar(&o.json, "json", false, "print one observation a line, and nothing else")
	f.StringVar(&o.export, "export", "", "write each host's disk to this folder, as `DIR`/<host>")
	return c
}

func (o runOptions) run(name string, in io.Reader, stdout io.Writer) error {
	s, err := readSession(name, in)
	if err != nil {
		return coded{err, unreadable}
	}
	w, err := engine.New(engine.Config{Release: o.release, Seed: o.seed, ControlPlanes: o.controlPlanes, Scenario: o.scenario})
	if err != nil {
		return coded{err, unreadable}
	}
	defer w.Close()
	if err := s.Check(w.Hosts()); err != nil {
		return coded{err, unreadable}
	}
	if o.export != "" {
		if err := exportable(o.export, w.Hosts()); err != nil {
			return coded{err, unreadable}
		}
	}
	s.Words = func(e engine.Explanation) string { return desk.Explain("en", e) }
	s.Trusts = func(t *engine.Trust) string { return desk.Trusts("en", t) }
	out := bufio.NewWriter(stdout)
	see := printer(out)
	if o.json {
		see = func(_ lessons.Do, obs []trace.Observation, _ bool) { trace.Encode(out, obs) }
	}
	err = s.Run(w, see)
	if ferr := out.Flush(); err == nil {
		err = ferr
	}
	if o.export != "" {
		if xerr := export(w, o.export); err == nil {
			err = xerr
		}
	}
	return err
}

func readSession(name string, in io.Reader) (*lessons.Session, error) {
	shown := name
	if name == "-" {
		shown = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("the session can't be read: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, sessionLimit+1))
	if err != nil {
		return nil, fmt.Errorf("the session can't be read: %w", err)
	}
	if len(b) > sessionLimit {
		return nil, fmt.Errorf("%s is longer than %d bytes, which no session is", shown, sessionLimit)
	}
	return lessons.ParseSession(shown, string(b))
}

// printer prints what hosts printed, each line that was typed before it.
// Output of a host that was not typed at just now comes under its name.
func printer(out io.Writer) func(lessons.Do, []trace.Observation, bool) {
	begun, broken, at := false, false, ""
	return func(d lessons.Do, obs []trace.Observation, more bool) {
		if !begun {
			begun, at = true, d.Host
			if d.Verb == lessons.Type {
				fmt.Fprintf(out, "%s %s\n", d.Prompt, d.Text)
			}
		}
		for _, o := range obs {
			if o.Kind != trace.Printed {
				continue
			}
			if o.Host() != at {
				at = o.Host()
				fmt.Fprintf(out, "# %s:\n", at)
			}
			io.WriteString(out, o.Payload)
			broken = !strings.HasSuffix(o.Payload, "\n")
		}
		if more {
			return
		}
		if broken {
			fmt.Fprintln(out)
		}
		begun, broken = false, false
	}
}

package enginetest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Refusal is what somebody was refused, from when until when.
type Refusal struct {
	Client, Server, Words string
	From, To              time.Time
}

const stamp = "01-02 15:04:05"

func (r Refusal) String() string {
	return fmt.Sprintf("%s at %s: %s, from %s to %s", r.Client, r.Server, r.Words, r.From.Format(stamp), r.To.Format(stamp))
}

// Tally finds in observations the handshakes that fail, and the answers 401 and 403:
// who was refused by whom, in which words. It knows nothing of why.
type Tally struct {
	hosts map[string]string
	asked map[string][2]string // who asks whom, by stream
	list  []Refusal
}

// NewTally returns one for a world, whose hosts it knows by their addresses.
func NewTally(w *engine.World) *Tally {
	t := &Tally{hosts: map[string]string{}, asked: map[string][2]string{}}
	for _, h := range w.View().Hosts {
		t.hosts[h.IP] = h.Name
	}
	return t
}

// ports are who listens there.
var ports = map[string]string{"6443": "kube-apiserver", "10250": "kubelet", "4443": "metrics-server"}

// server is who is at an address.
func (t *Tally) server(at string) string {
	ip, port, _ := strings.Cut(at, ":")
	if host, ok := t.hosts[ip]; ok && ports[port] != "" {
		return host + "/" + ports[port]
	}
	return at
}

// See takes observations in.
func (t *Tally) See(obs []trace.Observation) {
	for _, o := range obs {
		switch o.Kind {
		case trace.Handshake:
			if words := o.Args["client-error"]; words != "" {
				t.add(o.Actor, t.server(o.Subject), words, o.At)
			} else if words := o.Args["server-error"]; words != "" {
				t.add(o.Actor, t.server(o.Subject), words, o.At)
			}
		case trace.Request:
			t.asked[o.Args["stream"]] = [2]string{o.Actor, o.Args["to"]}
		case trace.Response:
			who, known := t.asked[o.Args["stream"]]
			delete(t.asked, o.Args["stream"])
			if code, _ := strconv.Atoi(o.Args["code"]); known && (code == 401 || code == 403) {
				t.add(who[0], who[1], fmt.Sprintf("%d %s", code, http.StatusText(code)), o.At)
			}
		}
	}
}

func (t *Tally) add(client, server, words string, at time.Time) {
	for i := range t.list {
		if x := &t.list[i]; x.Client == client && x.Server == server && x.Words == words {
			x.To = at
			return
		}
	}
	t.list = append(t.list, Refusal{client, server, words, at, at})
}

// Take returns what was refused since it was last called, by client and server.
func (t *Tally) Take() []Refusal {
	out := t.list
	t.list = nil
	slices.SortFunc(out, func(a, b Refusal) int {
		return strings.Compare(a.Client+" "+a.Server+" "+a.Words, b.Client+" "+b.Server+" "+b.Words)
	})
	return out
}

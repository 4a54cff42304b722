package controllers

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/election"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// client is what one controller sends its requests with: it acts as a
// ServiceAccount, or as the manager itself, and it limits itself: a bucket of
// --kube-api-burst requests that fills with --kube-api-qps a second. Watches are
// not counted. Models k8s.io/client-go/rest and util/flowcontrol.
type client struct {
	Index int `json:"index"`
	// Account is the ServiceAccount's name; "" is the manager itself.
	Account string `json:"account,omitempty"`
	// Bucket is the time up to which requests are given out.
	Bucket time.Time `json:"bucket,omitzero"`
	// Held are the requests that wait for the bucket, first come first.
	Held []message `json:"held,omitempty"`
}

// message is a request that is not sent yet.
type message struct {
	exchange
	Body    []byte    `json:"body,omitempty"`
	Account string    `json:"account,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// Words that client-go prints when it holds a request back.
const throttled = "client-side throttling, not priority and fairness"

// own is the client of the manager itself.
func (m *ControllerManager) own() *client { return m.Clients[0] }

// addClient returns a new client for a controller.
func (m *ControllerManager) addClient(controller string) *client {
	cl := &client{Index: len(m.Clients)}
	if m.Flags.Credentials {
		cl.Account = accountOf(m.era(), controller)
	}
	m.Clients = append(m.Clients, cl)
	return cl
}

func accountOf(e era.Era, controller string) string {
	for _, x := range era.Controllers.In(e) {
		if x.Name == controller {
			return x.Account
		}
	}
	return ""
}

// interval is the time between two requests; 0: no limit.
func (f *Flags) interval() (every time.Duration, burst int) {
	qps, burst := float64(f.QPS), f.Burst
	if qps == 0 {
		qps = 5
	}
	if burst == 0 {
		burst = 10
	}
	if qps < 0 {
		return 0, burst
	}
	return time.Duration(math.Round(float64(time.Second) / qps)), burst
}

// send sends a request as a client, at once or when its bucket has a token.
func (m *ControllerManager) send(c *sim.Ctx, cl *client, x exchange, method, uri string, body any) {
	msg := message{exchange: x, Account: cl.Account, Since: c.Now}
	msg.Method, msg.URL = method, uri
	if body != nil {
		msg.Body, _ = sim.Encode(body)
	}
	every, burst := m.Flags.interval()
	if every == 0 || strings.Contains(uri, "watch=true") {
		m.give(c, msg)
		return
	}
	if cl.Bucket.Before(c.Now) {
		cl.Bucket = c.Now
	}
	cl.Bucket = cl.Bucket.Add(every)
	if wait := cl.Bucket.Sub(c.Now) - time.Duration(burst)*every; wait > 0 {
		cl.Held = append(cl.Held, msg)
		c.Wake(c.Now.Add(wait), fmt.Sprintf("held %d", cl.Index))
		return
	}
	m.give(c, msg)
}

// release sends the first request that a bucket held back. Models client-go's
// tryThrottle: a wait of over 50 ms is told at -v=3, one of over a second also
// at -v=2, once a second, or else always, once in ten.
func (m *ControllerManager) release(c *sim.Ctx, cl *client) {
	if len(cl.Held) == 0 {
		return
	}
	msg := cl.Held[0]
	if cl.Held = cl.Held[1:]; len(cl.Held) == 0 {
		cl.Held = nil
	}
	if wait := c.Now.Sub(msg.Since); wait > 50*time.Millisecond {
		values := []any{wait, throttled, msg.Method, m.Own.Server + msg.URL}
		m.say(c, &era.LineThrottled, values...)
		level, pause := 0, 10*time.Second
		if m.Flags.V >= 2 {
			level, pause = 2, time.Second
		}
		if wait > time.Second && c.Now.Sub(m.Throttled) >= pause {
			m.Throttled = c.Now
			long := era.LineThrottledLong.In(m.era())
			long.V = level
			m.line(c, long, values...)
		}
	}
	m.give(c, msg)
}

// give puts a request on the wire, with a token if its account has one.
func (m *ControllerManager) give(c *sim.Ctx, msg message) {
	id := &m.Own
	h := http.Header{"User-Agent": {m.agent(msg.Account)}, "Accept": {"application/json, */*"}}
	token := m.Own.Token
	if msg.Account != "" {
		if token = m.token(c, msg); token == "" {
			return
		}
		id = &m.Bearer
	}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	if msg.Body != nil {
		h.Set("Content-Type", "application/json")
		if msg.Method == http.MethodPatch {
			h.Set("Content-Type", "application/strategic-merge-patch+json")
			if msg.To == "loop" && m.Loops[msg.Index].Kind == kindAggregation {
				h.Set("Content-Type", "application/apply-patch+yaml")
			}
		}
	}
	if msg.To == "elect" {
		h.Set("User-Agent", m.agent("")+"/leader-election")
	}
	if msg.Fold > 0 {
		h.Set(election.FoldHeader, msg.Fold.String())
	}
	if msg.To == "feed" && m.Feeds[msg.Index].Kind == "leases" {
		h.Set(election.FoldHeader, "told")
	}
	stream := c.Send(id.Conn, id.dial(), sim.Request{Method: msg.Method, URL: msg.URL, Header: h, Body: msg.Body})
	msg.exchange.Account = msg.Account
	m.Streams[stream] = msg.exchange
}

func (m *ControllerManager) agent(account string) string {
	if m.Program != "" {
		return programs[m.Program].user
	}
	ua := "kube-controller-manager/" + era.KubeletPatch.In(m.era()) + " (linux/amd64) kubernetes/$Format"
	if account != "" {
		ua += "/system:serviceaccount:kube-system:" + account
	}
	return ua
}

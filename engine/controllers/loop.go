package controllers

import (
	"fmt"
	"maps"
	"slices"
	"time"

	certv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// loop is one controller: a queue of names and its workers, which may wait for
// answers. What they do with a name is their kind's (sync.go). Models
// k8s.io/client-go/util/workqueue.
type loop struct {
	Index      int    `json:"index"`
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Logger     string `json:"logger,omitempty"`
	Controller string `json:"controller"`
	// Client is the index of the client that it sends its requests with.
	Client int `json:"client"`
	// Ready: the feeds that it needs have brought all there is.
	Ready bool `json:"ready,omitempty"`
	// Signer, CertFile and KeyFile are set for signers only.
	Signer   string `json:"signer,omitempty"`
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`

	// Queue holds names that wait; Waiting says which.
	Queue   []string        `json:"queue,omitempty"`
	Waiting map[string]bool `json:"waiting"`
	Fails   map[string]int  `json:"fails"`
	// Resting are names that are not tried until the rules change, and when they
	// would have been (rest.go).
	Resting map[string]time.Time `json:"resting,omitempty"`
	// Bucket is the time up to which retries are given out: a token bucket.
	Bucket time.Time `json:"bucket,omitzero"`

	// Jobs are those of workers that wait for an answer. While a worker does
	// something, its job is the one at hand.
	Jobs []job `json:"jobs,omitempty"`
	job  `json:"-"`
}

// job is a name at work.
type job struct {
	Busy string `json:"busy"`
	// Again: it changed meanwhile.
	Again bool      `json:"again,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Work  work      `json:"work"`
}

// work is how far a worker is with its name. Object is the cache's
// until it is changed, and the cache is shared: a change begins with a copy.
type work struct {
	Object *certv1.CertificateSigningRequest `json:"object,omitempty"`
	// Tried are the recognizers that were asked about, Step what is waited for.
	Tried []int  `json:"tried,omitempty"`
	Step  string `json:"step,omitempty"`
	// Reason and Message are what will be written.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Said is what the log of an approver says of a denial, Rule the setting that
	// it comes from.
	Said string `json:"said,omitempty"`
	Rule string `json:"rule,omitempty"`
	// Todo and Content are what is still to be asked for (namespace.go). They
	// are only appended to and cut at the head.
	Todo    []string `json:"todo,omitempty"`
	Content []string `json:"content,omitempty"`
}

func (l *loop) clone() *loop {
	n := *l
	// The queue is only appended to and cut at its head, so a full slice
	// expression is enough to part the copies.
	n.Queue = slices.Clip(l.Queue)
	l.Queue = slices.Clip(l.Queue)
	n.Waiting, n.Fails, n.Resting = maps.Clone(l.Waiting), maps.Clone(l.Fails), maps.Clone(l.Resting)
	n.Jobs = slices.Clone(l.Jobs)
	for i := range n.Jobs {
		w := &n.Jobs[i].Work
		w.Tried, w.Todo, w.Content = slices.Clone(w.Tried), slices.Clone(w.Todo), slices.Clone(w.Content)
	}
	return &n
}

// enqueue adds a name, once, and lets a worker begin if one is idle.
func (m *ControllerManager) enqueue(c *sim.Ctx, l *loop, name string) {
	switch i := l.at(name); {
	case l.Busy == name:
		l.Again = true
	case i >= 0:
		l.Jobs[i].Again = true
	default:
		l.wait(name)
	}
	m.next(c, l)
}

// at is the place of a name among the jobs that wait for an answer, or -1.
func (l *loop) at(name string) int {
	return slices.IndexFunc(l.Jobs, func(j job) bool { return j.Busy == name })
}

// wait puts a name into the queue, once.
func (l *loop) wait(name string) {
	if l.Waiting[name] {
		return
	}
	if l.Waiting == nil {
		l.Waiting = map[string]bool{}
	}
	l.Waiting[name] = true
	l.Queue = append(l.Queue, name)
}

// next lets idle workers take the names that wait, until all wait for an answer.
func (m *ControllerManager) next(c *sim.Ctx, l *loop) {
	workers := 1
	if row := kinds[l.Kind].workers; row != nil {
		workers = row.In(m.era())
	}
	for l.Ready && l.Busy == "" && len(l.Jobs) < workers && len(l.Queue) > 0 {
		name := l.Queue[0]
		if l.Queue = l.Queue[1:]; len(l.Queue) == 0 {
			l.Queue = nil
		}
		delete(l.Waiting, name)
		delete(l.Resting, name)
		l.job = job{Busy: name, Since: c.Now}
		kinds[l.Kind].begin(m, c, l)
		l.lay()
	}
}

// lay puts the job at hand down, if it goes on.
func (l *loop) lay() {
	if l.Busy != "" {
		l.Jobs = append(l.Jobs, l.job)
	}
	l.job = job{}
}

// failure is why a sync failed. An ignorable one is expected to go away.
type failure struct {
	text      string
	ignorable bool
}

// finish ends the work on a name: on failure it is put back after a pause.
func (m *ControllerManager) finish(c *sim.Ctx, l *loop, f *failure) {
	name, again, k := l.Busy, l.Again, kinds[l.Kind]
	if k.finished != nil {
		k.finished(m, c, name, c.Now.Sub(l.Since))
	}
	folded, since := m.rests(l), l.Since
	l.job = job{}
	if f == nil {
		delete(l.Fails, name)
	} else {
		k.failed(m, c, l, name, f)
		if l.Fails == nil {
			l.Fails = map[string]int{}
		}
		wait := max(k.retry.In(m.era()).At(l.Fails[name]), l.reserve(m.era(), c.Now))
		l.Fails[name]++
		if f.ignorable && folded > 0 && m.Roused.Before(since) {
			if l.Resting == nil {
				l.Resting = map[string]time.Time{}
			}
			l.Resting[name] = c.Now.Add(wait)
		} else {
			c.Wake(c.Now.Add(wait), fmt.Sprintf("retry %d %s", l.Index, name))
		}
	}
	if again {
		l.wait(name)
	}
}

// reserve takes a token of the bucket that all retries of a loop share, and
// returns how long it has to be waited for.
func (l *loop) reserve(e era.Era, now time.Time) time.Duration {
	interval := time.Second / time.Duration(era.RetryQPS.In(e))
	full := interval * time.Duration(era.RetryBurst.In(e))
	if l.Bucket.Before(now) {
		l.Bucket = now
	}
	l.Bucket = l.Bucket.Add(interval)
	return max(0, l.Bucket.Sub(now)-full)
}

// answered goes on with the work that waited for an answer.
func (m *ControllerManager) answered(c *sim.Ctx, l *loop, a answer) {
	k := kinds[l.Kind]
	if l.Busy != "" && l.Busy == a.Name {
		// It failed while it was being asked.
		k.answered(m, c, l, a)
		return
	}
	i := l.at(a.Name)
	if i < 0 {
		return
	}
	hand := l.job
	l.job = l.Jobs[i]
	l.Jobs = slices.Delete(slices.Clone(l.Jobs), i, i+1)
	k.answered(m, c, l, a)
	l.lay()
	l.job = hand
	m.next(c, l)
}

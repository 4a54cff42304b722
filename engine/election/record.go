package election

import (
	"encoding/json"
	"strings"
	"time"

	coordv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// Up to 1.16 the record of who leads stands in an annotation of an Endpoints object,
// from 1.17 to 1.19 there and in a Lease. Models client-go's
// tools/leaderelection/resourcelock EndpointsLock and MultiLock; of the two this reads
// the first only.

// leaderKey is the annotation.
const leaderKey = "control-plane.alpha.kubernetes.io/leader"

const (
	lockEndpoints = "endpoints"
	lockBoth      = "endpointsleases"
	lockLeases    = "leases"
)

// record is what stands in the annotation.
type record struct {
	Holder      string      `json:"holderIdentity"`
	Seconds     int32       `json:"leaseDurationSeconds"`
	Acquire     metav1.Time `json:"acquireTime"`
	Renew       metav1.Time `json:"renewTime"`
	Transitions int32       `json:"leaderTransitions"`
}

// annotated tells whether the record is in an annotation.
func (x *Election) annotated() bool {
	return x.Rules.Lock == lockEndpoints || x.Rules.Lock == lockBoth
}

// decode reads an object with the record as a Lease.
func (x *Election) decode(data []byte) (l coordv1.Lease) {
	if !x.annotated() {
		json.Unmarshal(data, &l)
		return l
	}
	var e corev1.Endpoints
	var r record
	json.Unmarshal(data, &e)
	json.Unmarshal([]byte(e.Annotations[leaderKey]), &r)
	l.ObjectMeta = e.ObjectMeta
	if e.Annotations[leaderKey] != "" {
		acquired, renewed := metav1.MicroTime(r.Acquire), metav1.MicroTime(r.Renew)
		l.Spec = coordv1.LeaseSpec{HolderIdentity: &r.Holder, LeaseDurationSeconds: &r.Seconds, AcquireTime: &acquired, RenewTime: &renewed, LeaseTransitions: &r.Transitions}
	}
	return l
}

// body is a Lease as the object that is written.
func (x *Election) body(e era.Era, l *coordv1.Lease) any {
	if !x.annotated() {
		l.Kind, l.APIVersion = "Lease", era.Preferred(e, "coordination.k8s.io", "leases")
		return l
	}
	s := l.Spec
	b, _ := json.Marshal(record{*s.HolderIdentity, *s.LeaseDurationSeconds, metav1.Time{Time: s.AcquireTime.UTC()}, metav1.Time{Time: s.RenewTime.UTC()}, *s.LeaseTransitions})
	n := &corev1.Endpoints{TypeMeta: metav1.TypeMeta{Kind: "Endpoints", APIVersion: "v1"}, ObjectMeta: *l.ObjectMeta.DeepCopy()}
	if n.Annotations == nil {
		n.Annotations = map[string]string{}
	}
	n.Annotations[leaderKey] = string(b)
	return n
}

// second writes the other of two records, after the first one.
func (x *Election) second(c *sim.Ctx, h Host) {
	l := &coordv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: x.Rules.Name, Namespace: x.Rules.Namespace}, Spec: x.Lease.Spec}
	step := "second"
	if x.Second != "" {
		l.ResourceVersion, step = x.Second, "second again"
	}
	l.Kind, l.APIVersion = "Lease", era.Preferred(h.Era(), "coordination.k8s.io", "leases")
	fold := x.Rules.Retry
	if step == "second" {
		fold = 0
	}
	x.ask(c, h, step, l, fold)
}

// both tells whether there is a second record.
func (x *Election) both() bool { return x.Rules.Lock == lockBoth }

// lockPath is where the objects of a lock are.
func (x *Election) lockPath(e era.Era, step string) string {
	plural, path := "leases", era.Path(e, "coordination.k8s.io", "leases")
	if x.annotated() && !strings.HasPrefix(step, "second") {
		plural, path = "endpoints", era.Path(e, "", "endpoints")
	}
	return strings.TrimSuffix(path, plural) + "namespaces/" + x.Rules.Namespace + "/" + plural
}

// say writes a line as the release words it; the values are the lock, and what the
// line has besides.
func (x *Election) say(c *sim.Ctx, h Host, row *era.Row[era.Line], values ...any) {
	l := row.In(h.Era())
	if l.At == "" {
		return
	}
	if !l.Structured {
		h.Say(c, l, values...)
		return
	}
	kv := make([]any, 0, 2*len(l.Keys))
	for _, k := range l.Keys {
		kv = append(kv, k.Name, values[k.Of])
	}
	h.Log(c, l.Level, l.V, l.At, l.Text, kv...)
}

// renewed is a time as a record has it: of seconds in an annotation.
func (x *Election) renewed(now time.Time) time.Time {
	if x.annotated() {
		return now.Truncate(time.Second)
	}
	return now.Truncate(time.Microsecond)
}

package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What kube-apiserver has against the smaller objects of the core, and Leases. Models
// pkg/apis/*/validation.

// largest is the limit of all data in a Secret or a ConfigMap, and annotationsLimit
// that of an object's annotations, in bytes.
const (
	largest          = 1 << 20
	annotationsLimit = 256 << 10
)

// frozen says what may not change in an object that was made immutable.
func (s spot) frozen(was, is *bool, same ...given) {
	if was == nil || !*was {
		return
	}
	for _, f := range append([]given{{"immutable", is != nil && *is}}, same...) {
		if !f.set {
			s.forbid(f.name, "field is immutable when `immutable` is set")
		}
	}
}

func (s spot) dataKey(list, k string) spot {
	s = s.key(list, k)
	s.says("", k, validation.IsConfigMapKey(k))
	return s
}

func configMap(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	c, s := o.(*corev1.ConfigMap), begin(&errs)
	if old != nil {
		was := old.(*corev1.ConfigMap)
		s.frozen(was.Immutable, c.Immutable, given{"data", reflect.DeepEqual(was.Data, c.Data)}, given{"binaryData", reflect.DeepEqual(was.BinaryData, c.BinaryData)})
	}
	size := 0
	for _, k := range sortedKeys(c.Data) {
		at := s.dataKey("data", k)
		if _, twice := c.BinaryData[k]; twice {
			at.bad("", k, "duplicate of key present in binaryData")
		}
		size += len(c.Data[k])
	}
	for _, k := range sortedKeys(c.BinaryData) {
		s.dataKey("binaryData", k)
		size += len(c.BinaryData[k])
	}
	if size > largest {
		begin(&errs, "").tooLong("", largest)
	}
	return errs
}

// secretNeeds are the keys without which a Secret of a type is refused; of those in one
// row one is enough, and all are named.
var secretNeeds = map[corev1.SecretType][][]string{
	corev1.SecretTypeTLS:              {{corev1.TLSCertKey}, {corev1.TLSPrivateKeyKey}},
	corev1.SecretTypeDockercfg:        {{corev1.DockerConfigKey}},
	corev1.SecretTypeDockerConfigJson: {{corev1.DockerConfigJsonKey}},
	corev1.SecretTypeBasicAuth:        {{corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey}},
	corev1.SecretTypeSSHAuth:          {{corev1.SSHAuthPrivateKey}},
}

func checkSecret(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	n, s := o.(*corev1.Secret), begin(&errs)
	if old != nil {
		was := old.(*corev1.Secret)
		if was.Type != n.Type {
			s.bad("type", word(n.Type), immutable)
		}
		s.frozen(was.Immutable, n.Immutable, given{"data", reflect.DeepEqual(was.Data, n.Data)})
	}
	size := 0
	for _, k := range sortedKeys(n.Data) {
		s.dataKey("data", k)
		size += len(n.Data[k])
	}
	if size > largest {
		s.tooLong("data", largest)
	}
	if n.Type == corev1.SecretTypeServiceAccountToken {
		s.in("metadata").key("annotations", corev1.ServiceAccountNameKey).need("", n.Annotations[corev1.ServiceAccountNameKey])
	}
	for _, row := range secretNeeds[n.Type] {
		if slices.ContainsFunc(row, func(k string) bool { v, ok := n.Data[k]; return ok && (len(v) > 0 || k != corev1.SSHAuthPrivateKey) }) {
			if n.Type == corev1.SecretTypeDockercfg || n.Type == corev1.SecretTypeDockerConfigJson {
				if err := json.Unmarshal(n.Data[row[0]], &map[string]any{}); err != nil {
					s.key("data", row[0]).bad("", "<secret contents redacted>", err.Error())
				}
			}
			continue
		}
		for _, k := range row {
			s.key("data", k).must("", "")
		}
	}
	return errs
}

func checkLease(_ *exchange, o, _ object, _ string) (errs field.ErrorList) {
	n, s := &o.(*coordinationv1.Lease).Spec, begin(&errs, "spec")
	if d := n.LeaseDurationSeconds; d != nil && *d <= 0 {
		s.bad("leaseDurationSeconds", *d, "must be greater than 0")
	}
	if t := n.LeaseTransitions; t != nil && *t < 0 {
		s.bad("leaseTransitions", *t, negative)
	}
	if n.Strategy != nil {
		// The real one names the field twice.
		if strategy, s := string(*n.Strategy), s.in("strategy"); !strings.Contains(strategy, "/") {
			s.oneOf("strategy", strategy, "OldestEmulationVersion")
		} else {
			for _, m := range qualified(strategy) {
				s.bad("strategy", word(strategy), m)
			}
		}
	}
	if n.PreferredHolder != nil && *n.PreferredHolder != "" && (n.Strategy == nil || *n.Strategy == "") {
		s.forbid("preferredHolder", "may only be specified if `strategy` is defined")
	}
	return errs
}

// checkNamespace models ValidateNamespace, ValidateNamespaceStatusUpdate and
// ValidateNamespaceFinalizeUpdate.
func checkNamespace(_ *exchange, o, _ object, sub string) (errs field.ErrorList) {
	n, s := o.(*corev1.Namespace), begin(&errs)
	if sub == "status" {
		want, words := corev1.NamespaceActive, "may only be 'Active' if `deletionTimestamp` is empty"
		if !n.DeletionTimestamp.IsZero() {
			want, words = corev1.NamespaceTerminating, "may only be 'Terminating' if `deletionTimestamp` is not empty"
		}
		if n.Status.Phase != want {
			s.in("status").bad("Phase", word(n.Status.Phase), words)
		}
		return errs
	}
	s = s.in("spec").in("finalizers")
	for i, f := range n.Spec.Finalizers {
		s := s
		if sub == "finalize" {
			s = s.item("", i)
		}
		s.says("", string(f), qualified(string(f)))
		s.standardFinalizer(string(f))
	}
	return errs
}

// checkEvent models legacyValidateEvent: an Event is in the namespace of what it is
// about, and one that has an eventTime says who reports what.
func checkEvent(_ *exchange, o, _ object, _ string) (errs field.ErrorList) {
	e, s := o.(*corev1.Event), begin(&errs)
	about := e.InvolvedObject.Namespace
	wrong := about != "" && about != e.Namespace || about == "" && e.Namespace != metav1.NamespaceDefault
	if !e.EventTime.IsZero() {
		wrong = about == "" && e.Namespace != metav1.NamespaceDefault && e.Namespace != metav1.NamespaceSystem
	}
	if wrong {
		s.in("involvedObject").bad("namespace", about, "does not match event.namespace")
	}
	if !e.EventTime.IsZero() {
		s.need("reportingComponent", e.ReportingController)
		s.labelKey("reportingComponent", e.ReportingController)
		for _, f := range []struct {
			name, value string
			most        int
		}{{"reportingInstance", e.ReportingInstance, 128}, {"action", e.Action, 128}, {"reason", e.Reason, 128}, {"message", e.Message, 1024}} {
			if f.name != "message" {
				s.need(f.name, f.value)
			}
			if len(f.value) > f.most {
				s.bad(f.name, "", fmt.Sprintf("can have at most %v characters", f.most))
			}
		}
	}
	s.says("namespace", e.Namespace, subdomain(e.Namespace))
	return errs
}

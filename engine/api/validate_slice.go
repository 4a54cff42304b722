package api

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// deviceSlice is a ResourceSlice; the devices are kept as they came. Models
// k8s.io/api/resource/v1, whose own types are 2 % of a page's program.
type deviceSlice struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Driver string `json:"driver"`
		Pool   struct {
			Name               string `json:"name"`
			Generation         int64  `json:"generation"`
			ResourceSliceCount int64  `json:"resourceSliceCount"`
		} `json:"pool"`
		NodeName               *string              `json:"nodeName,omitempty"`
		NodeSelector           *corev1.NodeSelector `json:"nodeSelector,omitempty"`
		AllNodes               *bool                `json:"allNodes,omitempty"`
		Devices                json.RawMessage      `json:"devices,omitempty"`
		PerDeviceNodeSelection *bool                `json:"perDeviceNodeSelection,omitempty"`
		SharedCounters         json.RawMessage      `json:"sharedCounters,omitempty"`
	} `json:"spec"`
}

// resourceSlice validates whose devices a slice lists, and in which pool; the devices
// themselves are not looked at. Models pkg/apis/resource/validation
// ValidateResourceSlice.
func resourceSlice(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	n, s := &o.(*deviceSlice).Spec, begin(&errs, "spec")
	s.driverName("driver", n.Driver)
	pool := s.in("pool")
	if pool.need("name", n.Pool.Name) {
		if len(n.Pool.Name) > 253 {
			pool.tooLong("name", 253)
		}
		for part := range strings.SplitSeq(n.Pool.Name, "/") {
			pool.says("name", part, subdomain(part))
		}
	}
	if c := n.Pool.ResourceSliceCount; c <= 0 {
		pool.bad("resourceSliceCount", c, "must be greater than zero")
	}
	if g := n.Pool.Generation; g < 0 {
		pool.bad("generation", g, "must be greater than or equal to zero")
	}
	if old != nil {
		was := &old.(*deviceSlice).Spec
		if n.Pool.Name != was.Pool.Name {
			pool.bad("name", n.Pool.Name, immutable)
		}
		if n.Driver != was.Driver {
			s.bad("driver", n.Driver, immutable)
		}
		if !equal(n.NodeName, was.NodeName) {
			s.bad("nodeName", n.NodeName, immutable)
		}
	}
	if n.NodeName != nil && *n.NodeName == "" {
		s.bad("nodeName", "", "must be either unset or set to a non-empty string")
	} else if n.NodeName != nil {
		s.says("nodeName", *n.NodeName, subdomain(*n.NodeName))
	}
	if n.NodeSelector != nil {
		s := s.in("nodeSelector")
		if s.nodeSelector(n.NodeSelector); len(n.NodeSelector.NodeSelectorTerms) != 1 {
			s.bad("nodeSelectorTerms", internal{n.NodeSelector.NodeSelectorTerms}, "must have exactly one node selector term")
		}
	}
	for _, f := range []struct {
		name string
		on   *bool
	}{{"allNodes", n.AllNodes}, {"perDeviceNodeSelection", n.PerDeviceNodeSelection}} {
		if f.on != nil && !*f.on {
			s.bad(f.name, false, "must be either unset or set to true")
		}
	}
	var set []string
	for _, f := range []struct {
		name string
		on   bool
	}{{"nodeName", n.NodeName != nil && *n.NodeName != ""}, {"nodeSelector", n.NodeSelector != nil}, {"allNodes", n.AllNodes != nil && *n.AllNodes}, {"perDeviceNodeSelection", n.PerDeviceNodeSelection != nil && *n.PerDeviceNodeSelection}} {
		if f.on {
			set = append(set, "`"+f.name+"`")
		}
	}
	const one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
	switch len(set) {
	case 0:
		s.must("", one)
	case 1:
	default:
		s.bad("", "{"+strings.Join(set, ", ")+"}", one+", but multiple fields are set")
	}
	if n.SharedCounters != nil && n.Devices != nil {
		s.bad("", "", "only one of `sharedCounters` or `devices` is allowed")
	}
	return errs
}

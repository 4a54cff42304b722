package v1

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupName, SchemeGroupVersion and Unversioned name the kinds of this package. They
// are registered with no scheme: one keeps every method of every kind.
const GroupName = "meta.k8s.io"

var (
	SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1"}
	Unversioned        = schema.GroupVersion{Version: "v1"}
)

// WatchEventKind is the kind of the events of a watch.
const WatchEventKind = "WatchEvent"

// Kind is a kind of this package with its group.
func Kind(kind string) schema.GroupKind {
	return SchemeGroupVersion.WithKind(kind).GroupKind()
}

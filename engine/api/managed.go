package api

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// manager is who changes an object: ?fieldManager, else the User-Agent up to "/".
func (x *exchange) manager() string {
	if m := x.query.Get("fieldManager"); m != "" {
		return m
	}
	if m, _, _ := strings.Cut(x.r.Header.Get("User-Agent"), "/"); m != "" {
		return m
	}
	return "unknown"
}

// manage writes managedFields as a creation or an Update does: what changed
// belongs to its manager now. An object that has none stays without.
// apimachinery's managedfields are not used: they read the wall clock.
func (x *exchange) manage(r *resource, o, old object, sub string) {
	manage(r, o, old, sub, x.manager(), x.now())
}

func manage(r *resource, o, old object, sub, manager string, now metav1.Time) {
	if r.unmanaged {
		meta(o).ManagedFields = nil
		return
	}
	here, there := leafRoom.Get().(*[]leaf), leafRoom.Get().(*[]leaf)
	defer leafRoom.Put(here)
	defer leafRoom.Put(there)
	*here = tracked(o, (*here)[:0])
	everything := *here
	var entries []metav1.ManagedFieldsEntry
	var was []leaf
	if old != nil {
		if entries = meta(old).ManagedFields; len(entries) == 0 {
			meta(o).ManagedFields = nil
			return
		}
		*there = tracked(old, (*there)[:0])
		was = *there
	}
	skip := r.untracked[sub]
	mine := make([]string, 0, len(everything))
	for _, l := range everything {
		if slices.Contains(skip, l.top()) {
			continue
		}
		if i, ok := find(was, l.path); !ok || !was[i].equal(l) {
			mine = append(mine, l.path)
		}
	}
	gv := r.gv().String()
	out := make([]metav1.ManagedFieldsEntry, 0, len(entries)+1)
	found := false
	for _, e := range entries {
		before := fieldPaths(e.FieldsV1)
		own := e.Manager == manager && e.Subresource == sub && e.Operation == metav1.ManagedFieldsOperationUpdate && e.APIVersion == gv
		after := make([]string, 0, len(before)+len(mine))
		for _, p := range before {
			if _, still := find(everything, p); !still {
				continue
			}
			if _, taken := slices.BinarySearch(mine, p); taken && !own && !strings.HasSuffix(p, "\x00.") {
				continue
			}
			after = append(after, p)
		}
		if own {
			found = true
			after = append(after, mine...)
			slices.Sort(after)
			after = slices.Compact(after)
		}
		if len(after) == 0 {
			continue
		}
		if !slices.Equal(before, after) {
			e.FieldsV1 = fieldsOf(after)
			if own {
				e.Time = &now
			}
		}
		out = append(out, e)
	}
	if !found && len(mine) > 0 {
		out = append(out, metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: gv, Time: &now, FieldsType: "FieldsV1", FieldsV1: fieldsOf(mine), Subresource: sub})
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		return cmp.Or(a.Time.Compare(b.Time.Time), strings.Compare(a.Manager, b.Manager), strings.Compare(a.Subresource, b.Subresource)) < 0
	})
	meta(o).ManagedFields = out
}

package api

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/joinery-lab/joinery/engine/era"
)

// catalog is what one release serves. Objects have the types of k8s.io/api v1, are
// stored as the version that the release prefers, and lack the fields that it does
// not know; a request for another version is answered with theirs (see exchange.body).
type catalog struct {
	rows    []*resource // in discovery's order within a group
	of      map[string]*resource
	reviews []*review
	kinds   map[schema.GroupVersionKind]bool
	served  []era.GroupVersion
	groups  []string
	unknown []string // parameters
}

// catalogs are those made so far, by release.
var catalogs sync.Map

func catalogOf(e era.Era) *catalog {
	if c, ok := catalogs.Load(e); ok {
		return c.(*catalog)
	}
	c := &catalog{of: map[string]*resource{}, kinds: map[schema.GroupVersionKind]bool{}, served: era.Served(e), unknown: era.UnknownParameters(e)}
	for _, v := range c.served {
		if v.Group != "" && !slices.Contains(c.groups, v.Group) {
			c.groups = append(c.groups, v.Group)
		}
	}
	for _, r := range rows {
		n := *r
		n.Version = ""
		for _, v := range c.served {
			if v.Group != r.Group || !slices.Contains(v.Plurals, r.Plural) {
				continue
			}
			if n.Version == "" {
				n.Version = v.Version
			}
			n.versions = append(n.versions, v.Version)
			c.kinds[schema.GroupVersionKind{Group: v.Group, Version: v.Version, Kind: r.Kind}] = true
		}
		if n.Version == "" {
			continue
		}
		n.unknown = era.Unknown(e, r.Plural)
		n.Subs = slices.Clone(r.Subs)
		if r.Plural == "serviceaccounts" && !era.TokenSubresource.In(e) {
			n.Subs = nil
		}
		for i := range n.Subs {
			if verbs := era.SubresourceVerbs(e, r.Plural+"/"+n.Subs[i].Name); verbs != "" {
				n.Subs[i].Verbs = strings.Fields(verbs)
			}
		}
		if !era.StorageHashes.In(e) {
			n.Hash = ""
		}
		n.unnamed = !era.SingularNames.In(e)
		n.linked = era.SelfLink.In(e)
		n.unmanaged = !era.ManagedFields.In(e)
		c.rows = append(c.rows, &n)
		c.of[n.Plural] = &n
	}
	for _, v := range reviews {
		n := *v
		n.versions, n.unnamed = nil, !era.SingularNames.In(e)
		for _, s := range c.served {
			if s.Group == v.Group && slices.Contains(s.Plurals, v.Plural) {
				n.versions = append(n.versions, s.Version)
				c.kinds[schema.GroupVersionKind{Group: v.Group, Version: s.Version, Kind: v.Kind}] = true
			}
		}
		if len(n.versions) > 0 {
			c.reviews = append(c.reviews, &n)
		}
	}
	c.kinds[tokenRow.gv().WithKind(tokenRow.Kind)] = true
	got, _ := catalogs.LoadOrStore(e, c)
	return got.(*catalog)
}

// lookup finds the row of a path.
func (c *catalog) lookup(i *requestInfo) *resource {
	r := c.of[i.resource]
	if r == nil || r.Group != i.group || !slices.Contains(r.versions, i.version) {
		return nil
	}
	return r
}

func (c *catalog) review(i *requestInfo) *review {
	for _, v := range c.reviews {
		if v.Plural == i.resource && v.Group == i.group && slices.Contains(v.versions, i.version) {
			return v
		}
	}
	return nil
}

// group is a group as discovery shows it.
func (c *catalog) group(name string) metav1.APIGroup {
	g := metav1.APIGroup{Name: name}
	for _, v := range c.served {
		if v.Group == name {
			g.Versions = append(g.Versions, metav1.GroupVersionForDiscovery{GroupVersion: v.String(), Version: v.Version})
		}
	}
	g.PreferredVersion = g.Versions[0]
	return g
}

// versionsOf are the versions of a group.
func (c *catalog) versionsOf(group string) (out []string) {
	for _, v := range c.served {
		if v.Group == group {
			out = append(out, v.Version)
		}
	}
	return out
}

// listed are the resources of a group's version, with subresources, as discovery
// shows them.
func (c *catalog) listed(group, version string) []metav1.APIResource {
	var out []metav1.APIResource
	for _, r := range c.rows {
		if r.Group != group || !slices.Contains(r.versions, version) {
			continue
		}
		singular := r.singular()
		if r.unnamed {
			singular = ""
		}
		out = append(out, metav1.APIResource{Name: r.Plural, SingularName: singular, Namespaced: r.Namespaced, Kind: r.Kind, Verbs: r.Verbs, ShortNames: r.Short, Categories: r.Categories, StorageVersionHash: r.Hash})
		for _, s := range r.Subs {
			out = append(out, metav1.APIResource{Name: r.Plural + "/" + s.Name, Namespaced: r.Namespaced, Kind: s.Kind, Group: s.Group, Version: s.Vers, Verbs: s.Verbs})
		}
	}
	for _, v := range c.reviews {
		if v.Group == group && slices.Contains(v.versions, version) {
			singular := strings.ToLower(v.Kind)
			if v.unnamed {
				singular = ""
			}
			out = append(out, metav1.APIResource{Name: v.Plural, SingularName: singular, Namespaced: v.Namespaced, Kind: v.Kind, Verbs: []string{"create"}})
		}
	}
	return out
}

// knows reports whether the release knows a field of a resource.
func (s *Server) knows(plural, path string) bool {
	r := s.catalog.of[plural]
	return r != nil && !slices.Contains(r.unknown, path)
}

// wanted is the group and version that a request for a row speaks.
func (x *exchange) wanted(r *resource) schema.GroupVersion {
	if slices.Contains(r.versions, x.info.version) && x.info.group == r.Group {
		return schema.GroupVersion{Group: r.Group, Version: x.info.version}
	}
	return r.gv()
}

// body is an object's JSON as a request wants it.
func (x *exchange) body(r *resource, o *Object) []byte { return shaped(r, o, x.wanted(r), "") }

// shaped is an object's JSON in a version, with the link to itself where the
// release has one; to a subresource when that was asked for.
func shaped(r *resource, o *Object, gv schema.GroupVersion, sub string) []byte {
	b := []byte(o.JSON)
	if head := `{"kind":"` + r.Kind + `","apiVersion":"` + gv.String() + `"`; len(b) < len(head) || string(b[:len(head)]) != head {
		b = retitled(b, gv.String())
	}
	if r.linked {
		b = linked(b, linkTo(r, gv, o.Namespace, o.Name)+sub)
	}
	return ended(b)
}

// retitled is an object's JSON with another apiVersion.
func retitled(b []byte, apiVersion string) []byte {
	const mark = `"apiVersion":"`
	i := bytes.Index(b, []byte(mark))
	if i < 0 {
		return b
	}
	i += len(mark)
	n := bytes.IndexByte(b[i:], '"')
	return slices.Concat(b[:i], []byte(apiVersion), b[i+n:])
}

// linked puts selfLink where ObjectMeta has it, before the UID, in the place of one
// that is stored.
func linked(b []byte, link string) []byte {
	i := bytes.Index(b, []byte(`"metadata":{`))
	j := bytes.Index(b[max(i, 0):], []byte(`"uid":"`))
	if i < 0 || j < 0 {
		return b
	}
	const mark = `"selfLink":"`
	if k := bytes.Index(b[i:i+j], []byte(mark)); k >= 0 {
		k += i
		end := textEnd(b, k+len(mark)-1)
		return slices.Concat(b[:k], []byte(mark+link+`"`), b[end:])
	}
	return slices.Concat(b[:i+j], []byte(`"selfLink":"`+link+`",`), b[i+j:])
}

// linkTo is the path of an object, or of a list when it has no name.
func linkTo(r *resource, gv schema.GroupVersion, namespace, name string) string {
	p := "/api/" + gv.Version
	if gv.Group != "" {
		p = "/apis/" + gv.String()
	}
	if r.Namespaced && namespace != "" {
		p += "/namespaces/" + namespace
	}
	p += "/" + r.Plural
	if name != "" {
		p += "/" + name
	}
	return p
}

// without is compact JSON without the fields at some paths; lists are passed
// through.
func without(b []byte, paths []string) []byte {
	if len(paths) == 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	pruner{paths: paths}.value(b, 0, "", &out)
	return out
}

type pruner struct{ paths []string }

// value copies the value at i without what is pruned and returns where it ends.
func (p pruner) value(b []byte, i int, path string, out *[]byte) int {
	switch b[i] {
	case '{':
		*out = append(*out, '{')
		first := true
		for i++; b[i] != '}'; {
			if b[i] == ',' {
				i++
				continue
			}
			from := i
			i = textEnd(b, i)
			at := string(b[from+1 : i-1])
			if path != "" {
				at = path + "." + at
			}
			key := b[from : i+1] // with its colon
			i++
			if slices.Contains(p.paths, at) {
				var none []byte
				i = pruner{}.value(b, i, "", &none)
				continue
			}
			if !first {
				*out = append(*out, ',')
			}
			first = false
			*out = append(*out, key...)
			i = p.value(b, i, at, out)
		}
		*out = append(*out, '}')
		return i + 1
	case '[':
		*out = append(*out, '[')
		for i++; b[i] != ']'; {
			if b[i] == ',' {
				*out = append(*out, ',')
				i++
				continue
			}
			i = p.value(b, i, path, out)
		}
		*out = append(*out, ']')
		return i + 1
	case '"':
		n := textEnd(b, i)
		*out = append(*out, b[i:n]...)
		return n
	}
	from := i
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	*out = append(*out, b[from:i]...)
	return i
}

// textEnd is where the string ends that begins at i.
func textEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

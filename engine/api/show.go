package api

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// form is how an answer is written.
type form struct {
	yaml    bool
	version string // of meta.k8s.io, of a form that is not ""
	as      string // "", Table, PartialObjectMetadata, PartialObjectMetadataList, APIGroupDiscoveryList
}

const notAcceptable = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"

// negotiate picks the first form in Accept that is served; false when there is none.
func (s *Server) negotiate(accept string) (form, bool) {
	if accept == "" {
		return form{}, true
	}
	for _, clause := range strings.Split(accept, ",") {
		parts := strings.Split(clause, ";")
		params := map[string]string{}
		for _, p := range parts[1:] {
			k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
			params[k] = v
		}
		f := form{as: params["as"], version: params["v"]}
		switch strings.TrimSpace(parts[0]) {
		case jsonType, "*/*", "application/*":
		case "application/yaml":
			f.yaml = true
		default:
			continue
		}
		switch f.as {
		case "":
		case "Table", "PartialObjectMetadata", "PartialObjectMetadataList":
			if params["g"] != "meta.k8s.io" || !slices.Contains(era.Tables.In(s.era), params["v"]) {
				continue
			}
		case "APIGroupDiscoveryList":
			if params["g"] != "apidiscovery.k8s.io" || !slices.Contains(era.AggregatedDiscovery.In(s.era), params["v"]) {
				continue
			}
		default:
			continue
		}
		return f, true
	}
	return form{}, false
}

func (x *exchange) finish(code int, body []byte) sim.Response {
	r := sim.Response{}
	if x.form.yaml {
		b, err := yaml.JSONToYAML(body)
		if err != nil {
			return failed(err)
		}
		r = answer(code, "application/yaml", b)
	} else {
		r = asJSON(code, body)
	}
	for _, w := range x.warnings {
		r.Header.Add("Warning", w)
	}
	return r
}

// show answers with one object in the form that was asked for.
func (x *exchange) show(code int, r *resource, o *Object) sim.Response {
	sub := ""
	if x.info.sub != "" {
		sub = "/" + x.info.sub
	}
	body := shaped(r, o, x.wanted(r), sub)
	switch x.form.as {
	case "Table":
		var err error
		if body, err = x.tableOf(r, []*Object{o}, meta(o.typed).ResourceVersion, o.Name); err != nil {
			return unprinted(err)
		}
	case "PartialObjectMetadata":
		body = encode(partial(r, o, x.form.version))
	}
	return x.finish(code, body)
}

// unprinted is the answer about an object that can't be printed: an error of no kind.
func unprinted(err error) sim.Response {
	return plainStatus(500, "", err.Error(), nil)
}

// partial is an object's metadata alone.
func partial(r *resource, o *Object, version string) *metav1.PartialObjectMetadata {
	p := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/" + version}, ObjectMeta: *meta(o.typed)}
	if r.linked {
		p.SelfLink = linkTo(r, r.gv(), o.Namespace, o.Name)
	}
	return p
}

// showList answers with a list; its version is the store's.
func (x *exchange) showList(r *resource, list []*Object) sim.Response {
	version := versionText(x.s.store.Version)
	switch x.form.as {
	case "Table":
		body, err := x.tableOf(r, list, version, "")
		if err != nil {
			return unprinted(err)
		}
		return x.finish(200, body)
	case "PartialObjectMetadataList", "PartialObjectMetadata":
		out := metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: "meta.k8s.io/" + x.form.version}, ListMeta: metav1.ListMeta{ResourceVersion: version}, Items: []metav1.PartialObjectMetadata{}}
		for _, o := range list {
			p := partial(r, o, x.form.version)
			p.TypeMeta = metav1.TypeMeta{}
			out.Items = append(out.Items, *p)
		}
		return x.finish(200, encode(out))
	}
	size := 128
	for _, o := range list {
		size += len(o.JSON)
	}
	b := slices.Grow([]byte(nil), size)
	b = append(b, `{"kind":"`+r.Kind+`List","apiVersion":"`+x.wanted(r).String()+`","metadata":{`+x.listLink(r)+`"resourceVersion":"`+version+`"},"items":[`...)
	for i, o := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, '{'), item(x.body(r, o))...)
	}
	return x.finish(200, append(b, "]}"...))
}

// listLink is the selfLink of a list, where the release has one.
func (x *exchange) listLink(r *resource) string {
	if !r.linked {
		return ""
	}
	return `"selfLink":"` + linkTo(r, x.wanted(r), x.info.nspc, "") + `",`
}

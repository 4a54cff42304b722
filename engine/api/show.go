package api

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/sim"
)

// form is how an answer is written.
type form struct {
	yaml bool
	as   string // "", Table, PartialObjectMetadata, PartialObjectMetadataList, APIGroupDiscoveryList
}

const notAcceptable = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"

// negotiate picks the first form in Accept that is served; false when there is none.
func negotiate(accept string) (form, bool) {
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
		f := form{as: params["as"]}
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
			if params["g"] != "meta.k8s.io" || params["v"] != "v1" {
				continue
			}
		case "APIGroupDiscoveryList":
			if params["g"] != "apidiscovery.k8s.io" || params["v"] != "v2" {
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
	body := x.body(r, o)
	switch x.form.as {
	case "Table":
		body = x.tableOf(r, []*Object{o}, meta(o.typed).ResourceVersion, true)
	case "PartialObjectMetadata":
		body = encode(partial(o))
	}
	return x.finish(code, body)
}

// partial is an object's metadata alone.
func partial(o *Object) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}, ObjectMeta: *meta(o.typed)}
}

// showList answers with a list; its version is the store's.
func (x *exchange) showList(r *resource, list []*Object) sim.Response {
	version := versionText(x.s.store.Version)
	switch x.form.as {
	case "Table":
		return x.finish(200, x.tableOf(r, list, version, true))
	case "PartialObjectMetadataList", "PartialObjectMetadata":
		out := metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: "meta.k8s.io/v1"}, ListMeta: metav1.ListMeta{ResourceVersion: version}, Items: []metav1.PartialObjectMetadata{}}
		for _, o := range list {
			p := partial(o)
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

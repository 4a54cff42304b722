package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

func sortedStreams(m map[uint64]*outgoing) []uint64 { return slices.Sorted(maps.Keys(m)) }

// podAt finds the pod of a request and one of its containers (Models
// pkg/registry/core/pod validateContainer).
func (x *exchange) podAt() (*corev1.Pod, string, error) {
	o := x.s.store.Get("pods", x.info.nspc, x.info.name)
	if o == nil {
		return nil, "", apierrors.NewNotFound(resources["pods"].gr(), x.info.name)
	}
	p := o.typed.(*corev1.Pod)
	var names []string
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		names = append(names, c.Name)
	}
	container := x.query.Get("container")
	switch {
	case container != "":
		if !slices.Contains(names, container) {
			return nil, "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", container, p.Name))
		}
	case len(p.Spec.Containers) == 1:
		container = p.Spec.Containers[0].Name
	case len(p.Spec.Containers) == 0:
		return nil, "", apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s", p.Name))
	default:
		return nil, "", apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s, choose one of: %s", p.Name, names))
	}
	return p, container, nil
}

// truth reads a boolean parameter as apimachinery's conversion does.
func truth(v string) bool { return v != "" && v != "0" && !strings.EqualFold(v, "false") }

// podLog answers GET pods/NAME/log with what the kubelet says (Models
// pkg/registry/core/pod LogLocation).
func podLog(x *exchange, _ *resource) sim.Response {
	params := url.Values{}
	for _, k := range []string{"follow", "previous", "timestamps"} {
		if truth(x.query.Get(k)) {
			params.Set(k, "true")
		}
	}
	var errs field.ErrorList
	for _, k := range []string{"sinceSeconds", "tailLines", "limitBytes"} {
		text := x.query.Get(k)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return failed(apierrors.NewBadRequest(err.Error()))
		}
		if least := map[string]int64{"sinceSeconds": 1, "limitBytes": 1}[k]; n < least {
			errs = append(errs, field.Invalid(field.NewPath(k), n, map[bool]string{true: "must be greater than or equal to 0", false: "must be greater than 0"}[least == 0]))
		}
		params.Set(k, text)
	}
	if since := x.query.Get("sinceTime"); since != "" {
		params.Set("sinceTime", since)
		if params.Has("sinceSeconds") {
			errs = append(errs, field.Forbidden(field.NewPath(""), "at most one of `sinceTime` or `sinceSeconds` may be specified"))
		}
	}
	if len(errs) > 0 {
		return failed(apierrors.NewInvalid(schema.GroupKind{Kind: "PodLogOptions"}, x.info.name, errs))
	}
	p, container, err := x.podAt()
	if err != nil {
		return failed(err)
	}
	if p.Spec.NodeName == "" {
		return answer(200, "text/plain", nil)
	}
	k, err := x.kubeletOf(p.Spec.NodeName)
	if err != nil {
		return x.refuse(err)
	}
	path := "/containerLogs/" + p.Namespace + "/" + p.Name + "/" + container
	if len(params) > 0 {
		path += "?" + params.Encode()
	}
	return x.askKubelet("log", p.Name, k, truth(x.query.Get("insecureSkipTLSVerifyBackend")), sim.Request{Method: "GET", URL: path, Header: http.Header{"User-Agent": {"Go-http-client/1.1"}}})
}

// refuse answers with an error that may have no Status.
func (x *exchange) refuse(err error) sim.Response {
	if _, ok := err.(apierrors.APIStatus); ok {
		return failed(err)
	}
	return x.s.noStatus(x.c, fmt.Sprintf("%#v", err.Error()), err.Error())
}

// streams are the subresources of a pod that switch protocols, and the
// parameters that the kubelet gets, by its name for them (Models
// pkg/registry/core/pod streamParams).
var streams = map[string]struct {
	path  string
	flags map[string]string
}{
	"exec":        {"exec", map[string]string{"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}},
	"attach":      {"attach", map[string]string{"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}},
	"portforward": {"portForward", nil},
}

// podStream answers exec, attach and portforward. What the kubelet sends after
// the switch are frames: a byte that names the channel, and its data (Models
// the subprotocol v5.channel.k8s.io: 1 stdout, 2 stderr, 3 a Status at the end).
func podStream(x *exchange, _ *resource) sim.Response {
	// Since WebSockets begin with GET, that alone is not enough.
	if x.info.verb != "create" && era.UpgradeNeedsCreate.In(x.s.era) {
		a := x.attributes()
		a.verb = "create"
		if ok, reason := x.s.allowed(x.c, a); !ok {
			return failed(apierrors.NewForbidden(resources["pods"].gr(), x.info.name, errors.New(reason)))
		}
	}
	kind := streams[x.info.sub]
	p, container, err := x.podAt()
	if x.info.sub == "portforward" && p == nil {
		if o := x.s.store.Get("pods", x.info.nspc, x.info.name); o != nil {
			p, err = o.typed.(*corev1.Pod), nil
		}
	}
	if err != nil {
		return failed(err)
	}
	if p.Spec.NodeName == "" {
		return failed(apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", p.Name)))
	}
	k, err := x.kubeletOf(p.Spec.NodeName)
	if err != nil {
		return x.refuse(err)
	}
	if !strings.Contains(strings.ToLower(x.r.Header.Get("Connection")), "upgrade") {
		return failed(apierrors.NewBadRequest("Upgrade request required"))
	}
	params := url.Values{}
	for from, to := range kind.flags {
		if truth(x.query.Get(from)) {
			params.Set(to, "1")
		}
	}
	if x.info.sub == "exec" {
		params["command"] = x.query["command"]
	}
	path := "/" + kind.path + "/" + p.Namespace + "/" + p.Name
	if x.info.sub == "portforward" {
		if ports := x.query["ports"]; len(ports) > 0 {
			params.Set("port", strings.Join(ports, ","))
		}
	} else {
		path += "/" + container
	}
	if len(params) > 0 {
		path += "?" + params.Encode()
	}
	h := http.Header{}
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Protocol", "X-Stream-Protocol-Version", "User-Agent"} {
		if v := x.r.Header.Values(name); len(v) > 0 {
			h[name] = v
		}
	}
	return x.askKubelet("upgrade", p.Name, k, false, sim.Request{Method: x.r.Method, URL: path, Header: h, Body: x.r.Body})
}

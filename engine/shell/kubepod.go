package shell

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
)

// The verbs that the API server passes on to a kubelet.

// getPod gets the pod that an argument names.
func (k *kube) getPod(arg string) (string, object, error) {
	kind, name, ok := strings.Cut(arg, "/")
	if !ok {
		kind, name = "pod", arg
	}
	if !slices.Contains([]string{"pod", "pods", "po"}, kind) {
		return "", nil, fmt.Errorf("error: cannot get the pods of %s: this shell's kubectl takes POD or pod/POD", arg)
	}
	b, err := k.do("GET", "/api/v1/namespaces/"+k.namespace+"/pods/"+url.PathEscape(name), nil)
	if err != nil {
		return "", nil, err
	}
	o, err := parseObject(b)
	return name, o, err
}

// pod finds the pod that a verb is about and the container of it that is meant.
//
// Models k8s.io/kubectl/pkg/cmd/util/podcmd FindOrDefaultContainerByName.
func (k *kube) pod(f *kubectlFlags, arg string) (name, container string, err error) {
	name, o, err := k.getPod(arg)
	if err != nil {
		return "", "", err
	}
	var all []string
	for _, c := range o.list("spec", "containers") {
		all = append(all, object(c.(map[string]any)).text("name"))
	}
	first := ""
	if len(all) > 0 {
		first = all[0]
	}
	for _, c := range o.list("spec", "initContainers") {
		all = append(all, object(c.(map[string]any)).text("name")+" (init)")
	}
	container = f.container
	if container == "" {
		notes, _ := o.get("metadata", "annotations").(map[string]any)
		container, _ = notes["kubectl.kubernetes.io/default-container"].(string)
	}
	switch {
	case container != "" && !slices.Contains(all, container) && !slices.Contains(all, container+" (init)"):
		return "", "", fmt.Errorf("error: container %s is not valid for pod %s out of: %s", container, name, strings.Join(all, ", "))
	case container == "":
		if container = first; len(all) > 1 {
			fmt.Fprintf(k.errs, "Defaulted container %q out of: %s\n", container, strings.Join(all, ", "))
		}
	}
	return name, container, nil
}

const noPod = `error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.
POD or TYPE/NAME is a required argument for the logs command
See 'kubectl logs -h' for help and examples`

func logs(k *kube, f *kubectlFlags, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf(noPod)
	}
	if len(args) > 1 && f.container == "" {
		f.container = args[1]
	}
	q := url.Values{}
	since, err := time.ParseDuration(f.since)
	if err != nil {
		return fmt.Errorf("error: invalid argument %q for \"--since\" flag: time: invalid duration %q\nSee 'kubectl logs --help' for usage.", f.since, f.since)
	}
	if f.Changed("tail") && f.tail < -1 {
		return fmt.Errorf("error: --tail must be greater than or equal to -1")
	}
	name, container, err := k.pod(f, args[0])
	if err != nil {
		return err
	}
	q.Set("container", container)
	for key, on := range map[string]bool{"insecureSkipTLSVerifyBackend": f.insecureBackend, "timestamps": f.timestamps, "previous": f.previous} {
		if on {
			q.Set(key, "true")
		}
	}
	if f.tail >= 0 {
		q.Set("tailLines", strconv.FormatInt(f.tail, 10))
	}
	if since > 0 {
		q.Set("sinceSeconds", strconv.Itoa(int(since/time.Second)))
	}
	_, r, err := k.open("GET", "/api/v1/namespaces/"+k.namespace+"/pods/"+name+"/log?"+q.Encode(), "application/json, */*", "", nil)
	if err != nil {
		return err
	}
	k.printf("%s", r.Body)
	return nil
}

// The channels of a switched connection: the first byte of each frame. Models the
// subprotocol v5.channel.k8s.io.
const (
	channelOut    = 1
	channelErr    = 2
	channelStatus = 3
)

func execute(k *kube, f *kubectlFlags, args []string) error {
	at := f.ArgsLenAtDash()
	switch {
	case len(args) == 0 || at == 0:
		return fmt.Errorf("error: pod, type/name or --filename must be specified")
	case at < 0 && len(args) > 1:
		return fmt.Errorf("error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples")
	case at < 0 || len(args) == at:
		return fmt.Errorf("error: you must specify at least one command for the container")
	}
	name, container, err := k.pod(f, args[0])
	if err != nil {
		return err
	}
	q := url.Values{"command": args[at:], "container": {container}, "stdout": {"true"}, "stderr": {"true"}}
	if f.stdin {
		q.Set("stdin", "true")
	}
	if f.tty {
		q.Set("tty", "true")
		q.Del("stderr")
	}
	id, err := k.upgrade(name+"/exec?"+q.Encode(), "v5.channel.k8s.io,v4.channel.k8s.io,v3.channel.k8s.io,v2.channel.k8s.io,channel.k8s.io", channels)
	if err != nil {
		return noUpgrade(err)
	}
	return k.streams(id)
}

// channels are the protocols of exec and attach over SPDY.
var channels = []string{"v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"}

// upgrade asks for a connection to a pod's subresource: for a WebSocket first;
// where that can't be had for SPDY, and its words count.
func (k *kube) upgrade(sub, webSocket string, spdy []string) (uint64, error) {
	target := "/api/v1/namespaces/" + k.namespace + "/pods/" + sub
	id, _, err := k.request("GET", target, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {webSocket}}, nil)
	if _, refused := err.(*status); refused {
		id, _, err = k.request("POST", target, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"SPDY/3.1"}, "X-Stream-Protocol-Version": spdy}, nil)
	}
	return id, err
}

// attach connects to a container's process, of which there is none here.
func attach(k *kube, f *kubectlFlags, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("error: at least 1 argument is required for attach\nSee 'kubectl attach -h' for help and examples")
	}
	name, container, err := k.pod(f, args[0])
	if err != nil {
		return err
	}
	fmt.Fprint(k.errs, "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt.\nIf you don't see a command prompt, try pressing enter.\n")
	q := url.Values{"container": {container}, "stdout": {"true"}, "stderr": {"true"}}
	if f.stdin {
		q.Set("stdin", "true")
	}
	id, err := k.upgrade(name+"/attach?"+q.Encode(), strings.Join(channels, ","), channels)
	if err != nil {
		return noUpgrade(err)
	}
	return k.streams(id)
}

// portForward connects to ports of a pod. The way there is real; at its end there
// is no process that listens.
//
// Models k8s.io/kubectl/pkg/cmd/portforward and k8s.io/client-go/tools/portforward.
func portForward(k *kube, f *kubectlFlags, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("error: TYPE/NAME and list of ports are required for port-forward\nSee 'kubectl port-forward -h' for help and examples")
	}
	forwarding := ""
	for _, arg := range args[1:] {
		local, remote, two := strings.Cut(arg, ":")
		if !two {
			remote = local
		}
		n, err := strconv.ParseUint(remote, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("error: remote port must be > 0: %q", arg)
		}
		if n, err = strconv.ParseUint(local, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("error: error parsing local port %q: this shell's kubectl takes [LOCAL_PORT:]REMOTE_PORT in numbers", local)
		}
		for _, ip := range []string{"127.0.0.1", "[::1]"} {
			forwarding += fmt.Sprintf("Forwarding from %s:%s -> %s\n", ip, local, remote)
		}
	}
	// It is found first, and then looked at.
	name, _, err := k.getPod(args[0])
	if err != nil {
		return err
	}
	_, o, err := k.getPod(name)
	if err != nil {
		return err
	}
	if phase := o.text("status", "phase"); phase != "Running" {
		return fmt.Errorf("error: unable to forward port because pod is not running. Current status=%s", phase)
	}
	id, err := k.upgrade(name+"/portforward", "SPDY/3.1+portforward.k8s.io", []string{"portforward.k8s.io"})
	switch s, _ := err.(*status); {
	case err == nil:
		k.printf("%s", forwarding)
		return k.streams(id)
	case s == nil:
		return fmt.Errorf("error: error upgrading connection: %w", err)
	case noUpgrade(s) == error(s):
		return fmt.Errorf("error: error upgrading connection: %s", s.Message)
	}
	return fmt.Errorf("error: error upgrading connection: %s", strings.TrimPrefix(noUpgrade(err).Error(), "error: "))
}

// noUpgrade words a refusal to switch protocols: a Status with a reason is told as
// ever, all else as the failure that it is.
func noUpgrade(err error) error {
	s, ok := err.(*status)
	if !ok || s.Details != nil || s.Reason == "NotFound" || s.Reason == "BadRequest" {
		return err
	}
	words := s.Message
	if s.Code == http.StatusUnauthorized {
		words = "Unauthorized"
	}
	return fmt.Errorf("error: unable to upgrade connection: %s", words)
}

// streams prints what comes over a switched connection until it ends.
func (k *kube) streams(id uint64) error {
	for {
		m := k.await(id)
		if m.Kind != sim.MsgFrame {
			return nil
		}
		if len(m.Data) == 0 {
			continue
		}
		switch data := m.Data[1:]; m.Data[0] {
		case channelOut:
			k.printf("%s", data)
		case channelErr:
			fmt.Fprintf(k.errs, "%s", data)
		case channelStatus:
			return k.ended(data)
		}
	}
}

// ended is how a command in a container ended.
//
// Models k8s.io/client-go/tools/remotecommand errorDecoderV4.
func (k *kube) ended(data []byte) error {
	var s struct{ Status, Reason, Message string }
	var d status
	if json.Unmarshal(data, &s) != nil || s.Status == "Success" || json.Unmarshal(data, &d) != nil {
		return nil
	}
	if s.Reason == "NonZeroExitCode" && d.Details != nil {
		for _, cause := range d.Details.Causes {
			if n, err := strconv.Atoi(cause.Message); err == nil {
				fmt.Fprintf(k.errs, "command terminated with exit code %d\n", n)
				return silent(n)
			}
		}
	}
	if s.Reason == "InternalError" {
		return fmt.Errorf("error: Internal error occurred: %s", s.Message)
	}
	return fmt.Errorf("error: %s", s.Message)
}

package kubelet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/sim"
)

// pod is what the kubelet needs of a pod on its node.
type pod struct {
	UID        string   `json:"uid"`
	Containers []string `json:"containers"`
	Object     []byte   `json:"object"`
}

// podsSeen takes the pods of the node out of a frame of their watch.
func (k *Kubelet) podsSeen(c *sim.Ctx, frame []byte) {
	for _, line := range bytes.Split(bytes.TrimSpace(frame), []byte("\n")) {
		event, object, ok := sim.OpenFrame(line)
		if ok && event != "BOOKMARK" && event != "ERROR" {
			k.podSeen(c, event, object)
		}
	}
}

func (k *Kubelet) podSeen(c *sim.Ctx, event string, object json.RawMessage) {
	var p corev1.Pod
	if json.Unmarshal(object, &p) != nil {
		return
	}
	name := p.Namespace + "/" + p.Name
	if event == "DELETED" {
		delete(k.Pods, name)
		return
	}
	x := pod{UID: string(p.UID), Object: object}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		x.Containers = append(x.Containers, c.Name)
	}
	k.Pods[name] = x
	if p.Status.Phase == corev1.PodPending || slices.ContainsFunc(p.Status.Conditions, func(x corev1.PodCondition) bool {
		// The node was not heard of for a while.
		return x.Type == corev1.PodReady && x.Status != corev1.ConditionTrue
	}) {
		k.reportPod(c, &p)
	}
}

// reportPod says that a pod runs: what its containers are is not simulated, so
// nothing keeps them from it.
func (k *Kubelet) reportPod(c *sim.Ctx, p *corev1.Pod) {
	now := metav1.NewTime(c.Clock().UTC().Truncate(time.Second))
	s := corev1.PodStatus{Phase: corev1.PodRunning, HostIP: k.address(c), StartTime: &now}
	for _, t := range []corev1.PodConditionType{corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	for _, x := range p.Spec.Containers {
		yes := true
		s.ContainerStatuses = append(s.ContainerStatuses, corev1.ContainerStatus{Name: x.Name, Image: x.Image, Ready: true, Started: &yes,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}})
	}
	k.send(c, "pod.patch", connAPI, "PATCH", "/api/v1/namespaces/"+p.Namespace+"/pods/"+p.Name+"/status",
		map[string]any{"metadata": map[string]any{"uid": p.UID}, "status": s}, "Content-Type", "application/strategic-merge-patch+json")
}

// replyPods answers with the pods of the node: as they were asked for, or what a
// container runtime knows of them. Models pkg/kubelet/server encodePods and
// pkg/kubelet/container ToAPIPod.
func (k *Kubelet) replyPods(c *sim.Ctx, r *sim.Request, running bool) {
	list := struct {
		Kind       string            `json:"kind"`
		APIVersion string            `json:"apiVersion"`
		Metadata   struct{}          `json:"metadata"`
		Items      []json.RawMessage `json:"items"`
	}{Kind: "PodList", APIVersion: "v1"}
	for _, name := range sortedNames(k.Pods) {
		object := k.Pods[name].Object
		var p corev1.Pod
		if running && json.Unmarshal(object, &p) == nil {
			short := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID}}
			for _, x := range p.Spec.Containers {
				short.Spec.Containers = append(short.Spec.Containers, corev1.Container{Name: x.Name, Image: x.Image})
			}
			object, _ = json.Marshal(short)
		}
		list.Items = append(list.Items, object)
	}
	b, _ := json.Marshal(list)
	k.reply(c, r, 200, "application/json", string(b)+"\n")
}

func sortedNames(m map[string]pod) (out []string) {
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// container finds one by namespace, pod and name; what is missing is answered.
func (k *Kubelet) container(c *sim.Ctx, r *sim.Request, parts []string) (pod, bool) {
	if len(parts) < 2 {
		k.reply(c, r, 404, plainText, "404 page not found\n")
		return pod{}, false
	}
	p, ok := k.Pods[parts[0]+"/"+parts[1]]
	logs := strings.HasPrefix(r.URL, "/containerLogs/")
	switch {
	case !ok && logs:
		k.reply(c, r, 404, "", fmt.Sprintf("pod %q does not exist", parts[1]))
	case !ok:
		k.reply(c, r, 404, "", "pod does not exist")
	case len(parts) < 3 || slices.Contains(p.Containers, parts[2]):
	case logs:
		ok = false
		k.reply(c, r, 404, "", fmt.Sprintf("container %q not found in pod %q", parts[2], parts[1]))
	default:
		ok = false
		k.reply(c, r, 500, "", fmt.Sprintf("container not found (%q)", parts[2]))
	}
	return p, ok
}

// containerLogs answers with a log file's lines, without what the runtime puts
// before each: time, stream and tag (Models cri-api's format of logs).
func (k *Kubelet) containerLogs(c *sim.Ctx, r *sim.Request, parts []string, tail string, timestamps bool) {
	p, ok := k.container(c, r, parts)
	if !ok || len(parts) < 3 {
		return
	}
	file := path.Join("/var/log/pods", parts[0]+"_"+parts[1]+"_"+p.UID, parts[2], "0.log")
	data, err := c.Disk.ReadFile(file)
	if err != nil {
		k.reply(c, r, 500, "", fmt.Sprintf("failed to try resolving symlinks in path %q: lstat %s: no such file or directory\n", file, file))
		return
	}
	lines := strings.SplitAfter(string(data), "\n")
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1]
	}
	if n, err := strconv.Atoi(tail); err == nil && n < len(lines) {
		lines = lines[len(lines)-n:]
	}
	var b strings.Builder
	for _, l := range lines {
		f := strings.SplitN(l, " ", 4)
		if len(f) < 4 {
			continue
		}
		if timestamps {
			b.WriteString(f[0] + " ")
		}
		b.WriteString(f[3])
	}
	k.reply(c, r, 200, "text/plain", b.String())
}

// stream answers what switches protocols: a frame is a channel's number (1
// stdout, 2 stderr, 3 the end's Status) and its data.
func (k *Kubelet) stream(c *sim.Ctx, r *sim.Request, parts []string, command []string) {
	if _, ok := k.container(c, r, parts[1:]); !ok {
		return
	}
	c.Reply(r.Stream, sim.Response{Code: 101, Stream: true})
	if parts[0] == "portForward" && r.Method == http.MethodGet && k.Flags.V >= 4 {
		c.Log('I', 4, "streamtunnel.go:63", "TunnelingHandler ServeHTTP")
	}
	out, errText, code := "", "", 0
	s := metav1.Status{Status: metav1.StatusSuccess}
	switch parts[0] {
	case "exec":
		out, errText, code = fake(c, command)
	default:
		s.Status, s.Message = metav1.StatusFailure, notSimulated[parts[0]]
	}
	if out != "" {
		c.Push(r.Stream, append([]byte{1}, out...))
	}
	if errText != "" {
		c.Push(r.Stream, append([]byte{2}, errText...))
	}
	switch {
	case code == noCommand:
		// containerd's words: the ID is that of the process that was to be.
		id := make([]byte, 32)
		c.Chance.Fill(c.Actor()+"/exec", id)
		s.Status, s.Reason = metav1.StatusFailure, metav1.StatusReasonInternalError
		s.Message = fmt.Sprintf("Internal error occurred: error executing command in container: failed to exec in container: failed to start exec %q: OCI runtime exec failed: exec failed: unable to start container process: exec: %q: executable file not found in $PATH", fmt.Sprintf("%x", id), command[0])
	case code != 0:
		s = metav1.Status{Status: metav1.StatusFailure, Reason: "NonZeroExitCode", Message: fmt.Sprintf("command terminated with non-zero exit code: exit status %d", code),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "ExitCode", Message: strconv.Itoa(code)}}}}
	}
	b, _ := json.Marshal(s)
	c.Push(r.Stream, append([]byte{3}, b...))
	c.End(r.Stream)
	k.httpLog(c, r, http.StatusSwitchingProtocols, "")
}

// notSimulated is where the way into a container ends.
var notSimulated = map[string]string{
	"attach":      "the connection to the container stands, but its process is not simulated, so there is nothing to attach to: kubectl logs shows what is in its log file",
	"portForward": "the connection to the pod stands, but its processes are not simulated, so nothing listens at its ports",
}

// fake runs a command of a container on its host.
func fake(c *sim.Ctx, command []string) (out, errText string, code int) {
	if len(command) == 0 {
		return "", "", 0
	}
	switch command[0] {
	case "echo":
		return strings.Join(command[1:], " ") + "\n", "", 0
	case "hostname":
		return c.Host + "\n", "", 0
	case "date":
		return c.Clock().Format("Mon Jan _2 15:04:05 UTC 2006") + "\n", "", 0
	case "cat":
		for _, f := range command[1:] {
			b, err := c.Disk.ReadFile(f)
			if err != nil {
				return out, "cat: " + f + ": No such file or directory\n", 1
			}
			out += string(b)
		}
		return out, "", 0
	case "true":
		return "", "", 0
	case "false":
		return "", "", 1
	case "sh":
		if len(command) == 3 && command[1] == "-c" && !strings.ContainsAny(command[2], "|&;<>()$`\\\"'*?[#~=%\n") {
			words := strings.Fields(command[2])
			if len(words) == 2 && words[0] == "exit" {
				n, _ := strconv.Atoi(words[1])
				return "", "", n
			}
			return fake(c, words)
		}
		return "", "sh: in this container sh takes -c and one plain command\n", 2
	}
	return "", "", noCommand
}

// noCommand: a container has no such command.
const noCommand = -1

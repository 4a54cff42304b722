package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// Pod is what makes a process a pod: its ServiceAccount, and the volume with the
// cluster's CA and a token that a kubelet keeps for it.
type Pod struct {
	Namespace string `json:"namespace"`
	Account   string `json:"account"`
	// Kubeconfig is who fetches the volume's content, in a kubelet's place.
	Kubeconfig string `json:"kubeconfig"`
	// Dir is where the volume is on the host's disk.
	Dir string `json:"dir"`
}

// bundleName is the ConfigMap with the cluster's CA.
const bundleName = "kube-root-ca.crt"

// mount is the kubelet's part for a pod: the projected volume kube-api-access.
// The CA in it follows the ConfigMap. A real kubelet fetches a new token when the
// old one has lived four fifths of its time, whether the process reads it or not;
// here that is done when the process is about to use it, which nobody can tell
// apart. Models pkg/volume/projected and pkg/kubelet/token.
type mount struct {
	Pod    Pod    `json:"pod"`
	Access access `json:"access"`
	// Bundle is the CA as the ConfigMap has it, "" while that is not known to be
	// there; Watching: the ConfigMap is watched; Synced: all that there is was told.
	Bundle   string `json:"bundle,omitempty"`
	Watching bool   `json:"watching,omitempty"`
	Synced   bool   `json:"synced,omitempty"`
	// Token is the one in the volume, fetched at Fetched and good until Expires,
	// by the host's clock. Asked: a new one is under way; Failed is when the last
	// try failed.
	Token   string    `json:"token,omitempty"`
	Fetched time.Time `json:"fetched,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Asked   bool      `json:"asked,omitempty"`
	Failed  time.Time `json:"failed,omitzero"`
	// Ready: the volume is there and the process was started.
	Ready bool  `json:"ready,omitempty"`
	Retry retry `json:"retry"`
}

// mountConn is the connection of the kubelet's part.
const mountConn = "volume"

// mount tries to make the volume.
func (k *Client) mount(c *sim.Ctx) {
	m := k.Mount
	var err error
	if m.Access, err = readKubeconfig(c.Disk, m.Pod.Kubeconfig); err != nil {
		k.notMounted(c, err.Error())
		return
	}
	c.Notify(m.Pod.Kubeconfig)
	k.note(c, PhaseMounting, "")
	k.refreshToken(c)
	k.watchVolume(c)
}

// remount: the kubeconfig of the kubelet's part changed, and a kubelet is started anew
// by whom changes its kubeconfig.
func (k *Client) remount(c *sim.Ctx) {
	if a, err := readKubeconfig(c.Disk, k.Mount.Pod.Kubeconfig); err == nil {
		k.Mount.Access = a
		c.CloseConn(mountConn)
	}
}

// sendMount sends a request of the kubelet's part.
func (k *Client) sendMount(c *sim.Ctx, owner, method, uri string, body any) {
	a := &k.Mount.Access
	h := http.Header{"User-Agent": {"kubelet/" + era.KubeletPatch.In(k.era()) + " (linux/amd64) kubernetes/$Format"}, "Accept": {"application/json, */*"}}
	var b []byte
	if body != nil {
		b, _ = json.Marshal(body)
		h.Set("Content-Type", "application/json")
	}
	if a.Token != "" {
		h.Set("Authorization", "Bearer "+a.Token)
	}
	d := sim.Dial{Addr: address(a.Server), ServerName: a.ServerName, Roots: a.Roots, Insecure: a.Insecure, Cert: a.Cert, Key: a.Key}
	stream := c.Send(mountConn, d, sim.Request{Method: method, URL: uri, Header: h, Body: b})
	k.Streams[stream] = exchange{Owner: owner, Method: method, URL: uri, Conn: mountConn, Server: a.Server}
}

// refreshToken asks for a token.
func (k *Client) refreshToken(c *sim.Ctx) {
	m := k.Mount
	if m.Asked {
		return
	}
	m.Asked = true
	seconds := int64(era.VolumeTokenLife.In(k.era()) / time.Second)
	k.sendMount(c, "mount.token", "POST", "/api/v1/namespaces/"+m.Pod.Namespace+"/serviceaccounts/"+m.Pod.Account+"/token",
		&authnv1.TokenRequest{TypeMeta: metav1.TypeMeta{Kind: "TokenRequest", APIVersion: "authentication.k8s.io/v1"}, Spec: authnv1.TokenRequestSpec{ExpirationSeconds: &seconds}})
}

// stale tells whether the token in the volume is one that the kubelet would have
// replaced: it is in the last fifth of its life. Models pkg/kubelet/token
// requiresRefresh.
func (m *mount) stale(c *sim.Ctx) bool {
	if m == nil || !m.Ready || !m.Failed.IsZero() && c.Now.Sub(m.Failed) < time.Minute {
		return false
	}
	return c.Clock().After(m.Expires.Add(-m.Expires.Sub(m.Fetched) / 5))
}

// tokenCame is the answer to a TokenRequest.
func (k *Client) tokenCame(c *sim.Ctx, a answer) {
	m := k.Mount
	m.Asked = false
	var t authnv1.TokenRequest
	if a.ok() && json.Unmarshal(a.data, &t) == nil {
		m.Token, m.Fetched, m.Expires, m.Failed = t.Status.Token, c.Clock(), t.Status.ExpirationTimestamp.Time, time.Time{}
		if m.Ready {
			k.write(c, "token", m.Token)
			k.Access.TokenRead = time.Time{}
		}
	} else if m.Ready {
		m.Failed = c.Now
		k.log(c, 'E', 0, "token_manager.go:126", sim.KV("Couldn't update token", "err", a.err(), "cacheKey", `"`+m.Pod.Account+`"/"`+m.Pod.Namespace+`"`))
	} else {
		k.notMounted(c, "failed to fetch token: "+a.err())
		return
	}
	held := k.Held
	k.Held = nil
	for _, x := range held {
		if node, ok := strings.CutPrefix(x.Owner, "scrape "); ok {
			k.scrapeNode(c, node)
		} else {
			k.deliver(c, x)
		}
	}
	k.mounted(c)
}

// watchVolume opens the watch of the ConfigMap.
func (k *Client) watchVolume(c *sim.Ctx) {
	if k.Mount.Watching {
		return
	}
	k.Mount.Watching, k.Mount.Synced = true, false
	q := url.Values{"allowWatchBookmarks": {"true"}, "fieldSelector": {"metadata.name=" + bundleName}, "timeoutSeconds": {watchTimeout}, "watch": {"true"}}
	if era.ClientWatchList.In(k.era()) {
		q.Set("resourceVersionMatch", "NotOlderThan")
		q.Set("sendInitialEvents", "true")
	}
	k.sendMount(c, "mount.bundle", "GET", "/api/v1/namespaces/"+k.Mount.Pod.Namespace+"/configmaps?"+q.Encode(), nil)
}

// bundleCame handles what the watch brings.
func (k *Client) bundleCame(c *sim.Ctx, a answer) {
	m := k.Mount
	switch {
	case a.kind == sim.MsgFrame:
		for _, line := range bytes.Split(bytes.TrimSpace(a.data), []byte("\n")) {
			k.bundleEvent(c, line)
		}
	case a.ok():
		m.Retry = retry{}
	default:
		m.Watching = false
		if !m.Ready {
			k.notMounted(c, a.err())
			return
		}
		k.again(c, "remake", &m.Retry)
	}
}

func (k *Client) bundleEvent(c *sim.Ctx, line []byte) {
	m := k.Mount
	var e struct {
		Type   string
		Object corev1.ConfigMap
	}
	if json.Unmarshal(line, &e) != nil {
		return
	}
	switch e.Type {
	case "BOOKMARK":
		if e.Object.Annotations[metav1.InitialEventsAnnotationKey] != "true" {
			return
		}
		m.Synced = true
	case "DELETED":
		m.Bundle = ""
	default:
		if m.Bundle = e.Object.Data["ca.crt"]; m.Ready {
			k.after(c, "sync", time.Duration(c.Chance.N(c.Actor()+"/volume", uint64(era.VolumeSync.In(k.era())))))
			return
		}
	}
	k.mounted(c)
}

// mounted starts the process once the volume can be made.
func (k *Client) mounted(c *sim.Ctx) {
	m := k.Mount
	if m.Ready || m.Token == "" || m.Bundle == "" && !m.Synced {
		return
	}
	if m.Bundle == "" {
		k.notMounted(c, `configmap "`+bundleName+`" not found`)
		return
	}
	if err := errors.Join(k.write(c, "ca.crt", m.Bundle), k.write(c, "token", m.Token), k.write(c, "namespace", m.Pod.Namespace)); err != nil {
		k.notMounted(c, err.Error())
		return
	}
	m.Ready, m.Retry = true, retry{}
	k.stop("mount")
	k.start(c)
}

// syncVolume brings the ConfigMap's new content into the volume.
func (k *Client) syncVolume(c *sim.Ctx) {
	if m := k.Mount; m.Ready && m.Bundle != "" {
		k.write(c, "ca.crt", m.Bundle)
	}
}

// write writes a file of the volume, unless it says that already.
func (k *Client) write(c *sim.Ctx, name, text string) error {
	name = path.Join(k.Mount.Pod.Dir, name)
	if b, err := c.Disk.ReadFile(name); err == nil && string(b) == text {
		return nil
	}
	if err := c.Disk.MkdirAll(path.Dir(name), 0o755, c.Clock()); err != nil {
		return err
	}
	return c.Disk.WriteFile(name, []byte(text), 0o644, c.Clock())
}

// notMounted is a try that failed: the kubelet tries again, at first soon.
func (k *Client) notMounted(c *sim.Ctx, why string) {
	m := k.Mount
	volume := "kube-api-access-" + strings.ToLower(c.Unit)
	c.LogLine('E', 0, `MountVolume.SetUp failed for volume "`+volume+`" : `+why)
	k.note(c, PhaseMounting, why)
	k.againAfter(c, "mount", &m.Retry, era.VolumeBackoff.In(k.era()))
}

package shell

import (
	"fmt"
	"maps"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubeconfig"
)

const rbacGroup = "rbac.authorization.k8s.io"

// granted is an object of a grant and the collection that it belongs to.
type granted struct {
	list, name string
	object     object
}

// grant makes roles and bindings.
func (c *admClient) grant(g era.KubeadmGrant) error {
	for _, x := range objectsOf(c.era(), g) {
		if err := c.put(x.list, x.name, x.object); err != nil {
			return err
		}
	}
	return nil
}

// objectsOf are the roles and bindings of a grant.
func objectsOf(e era.Era, g era.KubeadmGrant) (out []granted) {
	version := rbacGroup + "/" + era.KubeadmRBAC.In(e)
	at := func(namespace, plural string) string {
		p := "/apis/" + version + "/"
		if namespace == "" {
			return p + "cluster" + plural
		}
		return p + "namespaces/" + namespace + "/" + plural
	}
	meta := func(namespace, name string) map[string]any {
		m := map[string]any{"name": name}
		if namespace != "" {
			m["namespace"] = namespace
		}
		return m
	}
	kind := func(namespace, kind string) string {
		if namespace == "" {
			return "Cluster" + kind
		}
		return kind
	}
	for _, r := range g.Roles {
		var rules []any
		for _, x := range r.Rules {
			rule := map[string]any{"verbs": strings.Fields(x.Verbs), "apiGroups": apiGroups(x.Groups), "resources": strings.Fields(x.Resources)}
			if x.Names != "" {
				rule["resourceNames"] = strings.Fields(x.Names)
			}
			rules = append(rules, rule)
		}
		o := object{"apiVersion": version, "kind": kind(r.Namespace, "Role"), "metadata": meta(r.Namespace, r.Name), "rules": rules}
		out = append(out, granted{at(r.Namespace, "roles"), r.Name, o})
	}
	for _, b := range g.Bindings {
		role := b.Role
		if role == "" {
			role = b.Name
		}
		var subjects []any
		for _, s := range b.Subjects {
			what, name, _ := strings.Cut(s, " ")
			subject := map[string]any{"kind": what, "apiGroup": rbacGroup, "name": name}
			if namespace, account, ok := strings.Cut(name, "/"); ok && what == "ServiceAccount" {
				subject = map[string]any{"kind": what, "namespace": namespace, "name": account}
			}
			subjects = append(subjects, subject)
		}
		o := object{"apiVersion": version, "kind": kind(b.Namespace, "RoleBinding"), "metadata": meta(b.Namespace, b.Name), "subjects": subjects,
			"roleRef": map[string]any{"apiGroup": rbacGroup, "kind": kind(b.Namespace, "Role"), "name": role}}
		out = append(out, granted{at(b.Namespace, "rolebindings"), b.Name, o})
	}
	return out
}

func apiGroups(words string) []string {
	out := strings.Fields(words)
	for i, g := range out {
		if g == "core" {
			out[i] = ""
		}
	}
	return out
}

func (c *admClient) putConfigMap(namespace, name, key, text string) error {
	return c.put("/api/v1/namespaces/"+namespace+"/configmaps", name, object{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": namespace}, "data": map[string]any{key: text}})
}

// phaseBootstrapToken makes tokens, what those may do who have one, and
// cluster-info. Models cmd/kubeadm/app/cmd/phases/init runBootstrapToken.
func phaseBootstrapToken(a *adm, _ []string) error {
	const phase = "error execution phase bootstrap-token: "
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	tokens, err := a.wanted(c)
	if err != nil {
		return err
	}
	if a.f.config == "" {
		tokens[0].description = era.KubeadmInitToken.In(a.era())
	}
	client, config, err := a.initClient()
	if err != nil {
		return fmt.Errorf(phase+"%w", err)
	}
	defer client.close()
	e := a.era()
	if said := era.KubeadmUsingToken.In(e); said != "" && !a.f.skipTokenPrint {
		for _, t := range tokens {
			a.printf("%s: %s\n", said, t)
		}
	}
	if said := era.KubeadmConfiguring.In(e); said != "" {
		a.printf("%s\n", said)
	}
	for _, t := range tokens {
		if err := client.createToken(t, false); err != nil {
			return fmt.Errorf(phase+"error updating or creating token: %w", err)
		}
	}
	for _, g := range era.KubeadmGrants.In(e) {
		if g.Line == "" { // cluster-info comes before who may read it
			if said := era.KubeadmCreatingInfo.In(e); said != "" {
				a.printf("%s the \"cluster-info\" ConfigMap in the \"kube-public\" namespace\n", said)
			}
			if err := client.putConfigMap("kube-public", "cluster-info", "kubeconfig", clusterInfoText(config)); err != nil {
				return fmt.Errorf(phase+"error creating bootstrap ConfigMap: %w", err)
			}
		}
		if err := client.grant(g); err != nil {
			return fmt.Errorf(phase+"%w", err)
		}
		if g.Line != "" {
			a.printf("%s %s\n", era.KubeadmConfigured.In(e), g.Line)
		}
	}
	return nil
}

// clusterInfoText is a kubeconfig with nothing but an unnamed cluster.
func clusterInfoText(config *kubeconfig.Config) string {
	i, _ := current(config)
	cl := config.Clusters[i].Cluster
	text := string(kubeconfigText(cl.Server, `""`, "", cl.CAData))
	head, _, _ := strings.Cut(text, "contexts:")
	return head + "contexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n"
}

func phaseUploadAll(a *adm, _ []string) error {
	if err := phaseUploadKubeadm(a, nil); err != nil {
		return err
	}
	return phaseUploadKubelet(a, nil)
}

// upload stores a configuration where those who join can read it. A release that
// has no name for it stores none.
func (a *adm) upload(phase, line string, text func(c *admConfig) (object, error), name, key string, readers era.KubeadmGrant) error {
	c, err := a.initConfig()
	if err != nil || name == "" {
		return err
	}
	client, _, err := a.initClient()
	if err != nil {
		return fmt.Errorf("error execution phase upload-config/%s: %w", phase, err)
	}
	defer client.close()
	a.printf("%s\n", line)
	o, err := text(c)
	if err != nil {
		return err
	}
	b, err := yaml.Marshal(map[string]any(o))
	if err != nil {
		return err
	}
	err = client.putConfigMap("kube-system", name, key, string(b))
	if err == nil {
		err = client.grant(readers)
	}
	if err != nil {
		return fmt.Errorf("error execution phase upload-config/%s: error uploading the %s ConfigMap: %w", phase, name, err)
	}
	return nil
}

func phaseUploadKubeadm(a *adm, _ []string) error {
	said, name := era.KubeadmStoring.In(a.era()), "kubeadm-config"
	if said == "" {
		name = ""
	}
	return a.upload("kubeadm", said+` the configuration used in ConfigMap "kubeadm-config" in the "kube-system" Namespace`,
		func(c *admConfig) (object, error) { return c.cluster, nil }, name, "ClusterConfiguration", era.KubeadmConfigReader.In(a.era()))
}

func phaseUploadKubelet(a *adm, _ []string) error {
	name := era.KubeadmKubeletConfig.In(a.era())
	return a.upload("kubelet", fmt.Sprintf("[kubelet] Creating a ConfigMap %q in namespace kube-system with the configuration for the kubelets in the cluster", name),
		func(c *admConfig) (object, error) { return c.kubeletDefaults() }, name, "kubelet", era.KubeadmKubeletReader.In(a.era()))
}

// kubeletDefaults is the cluster's KubeletConfiguration: what kubeadm wants of
// it and then every field that is always written. Models
// cmd/kubeadm/app/componentconfigs/kubelet.go; recorded: r2/04.
func (c *admConfig) kubeletDefaults() (object, error) {
	o := object{}
	if err := yaml.Unmarshal([]byte(kubeletDefaults), &o); err != nil {
		return nil, err
	}
	o["clusterDomain"] = c.cluster.text("networking", "dnsDomain")
	merged := maps.Clone(c.kubelet)
	if merged == nil {
		merged = object{}
	}
	fill(merged, o)
	merged["rotateCertificates"] = true
	return merged, nil
}

const kubeletDefaults = `apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 0s
    cacheUnauthorizedTTL: 0s
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: ""
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
kind: KubeletConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
rotateCertificates: true
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
`

package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/era"
)

// kubeadmRoles are all roles and bindings of kubeadm init, with the first and the
// last release that has them, read from cmd/kubeadm/app/phases of each release:
// KIND NAME -> ROLE: SUBJECTS, or KIND NAME: RULES.
const kubeadmRoles = `
1.7-1.7 role kube-public/system:bootstrap-signer-clusterinfo: get configmaps
1.7-1.7 role kubeadm:node-autoapprove-bootstrap: create certificatesigningrequests/nodeclient
1.7-1.7 binding kube-public/kubeadm:bootstrap-signer-clusterinfo -> system:bootstrap-signer-clusterinfo: system:anonymous
1.7-1.7 binding kubeadm:kubelet-bootstrap -> system:node-bootstrapper: system:bootstrappers
1.7-1.7 binding kubeadm:node-autoapprove-bootstrap -> kubeadm:node-autoapprove-bootstrap: system:bootstrappers
1.8-1.37 role kube-public/kubeadm:bootstrap-signer-clusterinfo: get configmaps/cluster-info
1.8-1.37 binding kube-public/kubeadm:bootstrap-signer-clusterinfo -> kubeadm:bootstrap-signer-clusterinfo: system:anonymous
1.8-1.37 binding kubeadm:kubelet-bootstrap -> system:node-bootstrapper: system:bootstrappers:kubeadm:default-node-token
1.8-1.37 binding kubeadm:node-autoapprove-bootstrap -> system:certificates.k8s.io:certificatesigningrequests:nodeclient: system:bootstrappers:kubeadm:default-node-token
1.9-1.37 binding kubeadm:node-autoapprove-certificate-rotation -> system:certificates.k8s.io:certificatesigningrequests:selfnodeclient: system:nodes
1.18-1.37 role kubeadm:get-nodes: get nodes
1.18-1.37 binding kubeadm:get-nodes -> kubeadm:get-nodes: system:bootstrappers:kubeadm:default-node-token
1.36-1.37 binding kubeadm:apiserver-kubelet-client -> system:kubelet-api-admin: kube-apiserver-kubelet-client
1.29-1.37 binding kubeadm:cluster-admins -> cluster-admin: kubeadm:cluster-admins
1.12-1.37 role kube-system/kubeadm:nodes-kubeadm-config: get configmaps/kubeadm-config
1.12-1.37 binding kube-system/kubeadm:nodes-kubeadm-config -> kubeadm:nodes-kubeadm-config: system:bootstrappers:kubeadm:default-node-token system:nodes
1.11-1.23 role kube-system/kubeadm:kubelet-config-MINOR: get configmaps/kubelet-config-MINOR
1.11-1.23 binding kube-system/kubeadm:kubelet-config-MINOR -> kubeadm:kubelet-config-MINOR: system:nodes system:bootstrappers:kubeadm:default-node-token
1.24-1.37 role kube-system/kubeadm:kubelet-config: get configmaps/kubelet-config
1.24-1.37 binding kube-system/kubeadm:kubelet-config -> kubeadm:kubelet-config: system:nodes system:bootstrappers:kubeadm:default-node-token
1.7-1.37 binding kubeadm:node-proxier -> system:node-proxier: kube-proxy
1.12-1.37 role kube-system/kube-proxy: get configmaps/kube-proxy
1.12-1.37 binding kube-system/kube-proxy -> kube-proxy: system:bootstrappers:kubeadm:default-node-token
1.11-1.12 role system:coredns: list watch endpoints services pods namespaces
1.13-1.21 role system:coredns: list watch endpoints services pods namespaces, get nodes
1.22-1.27 role system:coredns: list watch endpoints services pods namespaces, get nodes, list watch endpointslices
1.28-1.37 role system:coredns: list watch endpoints services pods namespaces, list watch endpointslices
1.11-1.37 binding system:coredns -> system:coredns: coredns
`

// What kubeadm init leaves of roles and bindings is what it left in each release.
func TestKubeadmRoles(t *testing.T) {
	releases := era.Releases()
	for i, release := range releases {
		t.Run(release, func(t *testing.T) {
			w, err := New(Config{Seed: "roles", Release: release, Scenario: "kubeadm"})
			require.NoError(t, err)
			defer w.Close()
			var want []string
			for line := range strings.Lines(strings.TrimSpace(kubeadmRoles)) {
				span, object, _ := strings.Cut(strings.TrimSpace(line), " ")
				since, until, _ := strings.Cut(span, "-")
				if slices.Index(releases, since) <= i && i <= slices.Index(releases, until) {
					want = append(want, strings.ReplaceAll(object, "MINOR", release))
				}
			}
			require.ElementsMatch(t, want, ownRoles(w.Store))
		})
	}
}

// ownRoles are the roles and bindings that no API server made.
func ownRoles(s *api.Store) (out []string) {
	name := func(namespace, name string) string { return strings.TrimPrefix(namespace+"/"+name, "/") }
	isDefault := func(labels map[string]string) bool { return labels["kubernetes.io/bootstrapping"] != "" }
	role := func(namespace, of string, rules []rbacv1.PolicyRule) {
		var said []string
		for _, r := range rules {
			what := strings.Join(r.Resources, " ")
			if len(r.ResourceNames) > 0 {
				what += "/" + strings.Join(r.ResourceNames, " ")
			}
			said = append(said, strings.Join(r.Verbs, " ")+" "+what)
		}
		out = append(out, fmt.Sprintf("role %s: %s", name(namespace, of), strings.Join(said, ", ")))
	}
	binding := func(namespace, of, to string, subjects []rbacv1.Subject) {
		var said []string
		for _, s := range subjects {
			said = append(said, s.Name)
		}
		out = append(out, fmt.Sprintf("binding %s -> %s: %s", name(namespace, of), to, strings.Join(said, " ")))
	}
	for o := range api.All[*rbacv1.ClusterRole](s, "clusterroles") {
		if !isDefault(o.Labels) {
			role("", o.Name, o.Rules)
		}
	}
	for o := range api.All[*rbacv1.Role](s, "roles") {
		if !isDefault(o.Labels) {
			role(o.Namespace, o.Name, o.Rules)
		}
	}
	for o := range api.All[*rbacv1.ClusterRoleBinding](s, "clusterrolebindings") {
		if !isDefault(o.Labels) {
			binding("", o.Name, o.RoleRef.Name, o.Subjects)
		}
	}
	for o := range api.All[*rbacv1.RoleBinding](s, "rolebindings") {
		if !isDefault(o.Labels) {
			binding(o.Namespace, o.Name, o.RoleRef.Name, o.Subjects)
		}
	}
	return out
}

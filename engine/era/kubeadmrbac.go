package era

// KubeadmGrant is what kubeadm says, and the roles and bindings that it makes.
type KubeadmGrant struct {
	Line string
	RBACDefaults
}

func bound(name, role string, subjects ...string) RBACDefaults {
	return RBACDefaults{Bindings: []RBACBinding{{Name: name, Role: role, Subjects: subjects}}}
}

// granted is a role and the binding of the same name.
func granted(r RBACRole, subjects ...string) RBACDefaults {
	return RBACDefaults{Roles: []RBACRole{r}, Bindings: []RBACBinding{{Namespace: r.Namespace, Name: r.Name, Subjects: subjects}}}
}

// reader is a Role that lets one object be read.
func reader(namespace, role, resource, name string) RBACRole {
	return RBACRole{Namespace: namespace, Name: role, Rules: []RBACRule{{Verbs: "get", Groups: "core", Resources: resource, Names: name}}}
}

const (
	joiners  = "Group system:bootstrappers:kubeadm:default-node-token"
	nodes    = "Group system:nodes"
	tlsPhase = "cmd/kubeadm/app/phases/bootstraptoken: node/tlsbootstrap.go, clusterinfo/clusterinfo.go"
)

// KubeadmRBAC is the version in which kubeadm writes roles and bindings.
var KubeadmRBAC = row("kubeadm/rbac-version",
	Fact[string]{Value: "v1beta1", Source: "cmd/kubeadm/app/phases/apiconfig/clusterroles.go; phases/bootstraptoken/node/tlsbootstrap.go"},
	Fact[string]{Since: "1.9", Value: "v1", Source: tlsPhase})

// KubeadmGrants are what init phase bootstrap-token allows, in its order, each
// with what it says when done. The one that says nothing lets everybody read
// cluster-info, and comes after cluster-info itself.
var KubeadmGrants = func() Row[[]KubeadmGrant] {
	getNodes := KubeadmGrant{Line: "RBAC rules to allow Node Bootstrap tokens to get nodes",
		RBACDefaults: granted(RBACRole{Name: "kubeadm:get-nodes", Rules: []RBACRule{{Verbs: "get", Groups: "core", Resources: "nodes"}}}, joiners)}
	post := KubeadmGrant{Line: "RBAC rules to allow Node Bootstrap tokens to post CSRs in order for nodes to get long term certificate credentials",
		RBACDefaults: bound("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", joiners)}
	approve := KubeadmGrant{Line: "RBAC rules to allow the csrapprover controller automatically approve CSRs from a Node Bootstrap Token",
		RBACDefaults: bound("kubeadm:node-autoapprove-bootstrap", "system:certificates.k8s.io:certificatesigningrequests:nodeclient", joiners)}
	rotate := KubeadmGrant{Line: "RBAC rules to allow certificate rotation for all node client certificates in the cluster",
		RBACDefaults: bound("kubeadm:node-autoapprove-certificate-rotation", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", nodes)}
	kubelets := KubeadmGrant{Line: "RBAC rules to allow the API server kubelet client certificate to access the kubelet API",
		RBACDefaults: bound("kubeadm:apiserver-kubelet-client", "system:kubelet-api-admin", "User kube-apiserver-kubelet-client")}
	info := KubeadmGrant{RBACDefaults: granted(reader("kube-public", "kubeadm:bootstrap-signer-clusterinfo", "configmaps", "cluster-info"), "User system:anonymous")}

	// 1.7 has no default role for the approver, and no groups of tokens.
	const all = "Group system:bootstrappers"
	seven := []KubeadmGrant{
		{RBACDefaults: RBACDefaults{Roles: []RBACRole{reader("kube-public", "system:bootstrap-signer-clusterinfo", "configmaps", "")},
			Bindings: []RBACBinding{{Namespace: "kube-public", Name: "kubeadm:bootstrap-signer-clusterinfo", Role: "system:bootstrap-signer-clusterinfo", Subjects: []string{"User system:anonymous"}}}}},
		{Line: "RBAC rules", RBACDefaults: RBACDefaults{
			Roles: []RBACRole{{Name: "kubeadm:node-autoapprove-bootstrap", Rules: []RBACRule{{Verbs: "create", Groups: "certificates.k8s.io", Resources: "certificatesigningrequests/nodeclient"}}}},
			Bindings: []RBACBinding{
				{Name: "kubeadm:kubelet-bootstrap", Role: "system:node-bootstrapper", Subjects: []string{all}},
				{Name: "kubeadm:node-autoapprove-bootstrap", Subjects: []string{all}},
			}}},
	}
	return row("kubeadm/grants",
		Fact[[]KubeadmGrant]{Value: seven, Source: "cmd/kubeadm/app/phases/apiconfig/clusterroles.go"},
		Fact[[]KubeadmGrant]{Since: "1.8", Value: []KubeadmGrant{post, approve, info}, Source: tlsPhase},
		Fact[[]KubeadmGrant]{Since: "1.9", Value: []KubeadmGrant{post, approve, rotate, info}, Source: tlsPhase},
		Fact[[]KubeadmGrant]{Since: "1.18", Value: []KubeadmGrant{getNodes, post, approve, rotate, info}, Source: tlsPhase},
		Fact[[]KubeadmGrant]{Since: "1.36", Value: []KubeadmGrant{getNodes, post, approve, rotate, kubelets, info}, Source: tlsPhase + "; golden h/06, h/kubeadm-rbac-*"})
}()

// How kubeadm begins what it says of tokens, of what they may do, of cluster-info
// and of configurations that it stores; empty where it says nothing.
var (
	KubeadmUsingToken = row("kubeadm/using-token",
		Fact[string]{Value: "[token] Using token", Source: "cmd/kubeadm/app/cmd/init.go"},
		Fact[string]{Since: "1.8", Value: "[bootstraptoken] Using token", Source: "cmd/kubeadm/app/cmd/init.go"},
		Fact[string]{Since: "1.11", Source: "cmd/kubeadm/app/cmd/init.go"},
		Fact[string]{Since: "1.13", Value: "[bootstrap-token] Using token", Source: "cmd/kubeadm/app/cmd/phases/init/bootstraptoken.go"})
	KubeadmConfiguring = row("kubeadm/configuring-tokens",
		Fact[string]{Since: "1.13", Value: "[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles", Source: "cmd/kubeadm/app/cmd/phases/init/bootstraptoken.go"})
	KubeadmConfigured = row("kubeadm/configured",
		Fact[string]{Value: "[apiconfig] Created", Source: "cmd/kubeadm/app/phases/apiconfig/clusterroles.go"},
		Fact[string]{Since: "1.8", Value: "[bootstraptoken] Configured", Source: tlsPhase},
		Fact[string]{Since: "1.12", Value: "[bootstraptoken] configured", Source: tlsPhase},
		Fact[string]{Since: "1.14", Value: "[bootstrap-token] configured", Source: tlsPhase},
		Fact[string]{Since: "1.24", Value: "[bootstrap-token] Configured", Source: tlsPhase + "; golden h/06"})
	KubeadmCreatingInfo = row("kubeadm/creating-cluster-info",
		Fact[string]{Since: "1.8", Value: "[bootstraptoken] Creating", Source: tlsPhase},
		Fact[string]{Since: "1.11", Value: "[bootstraptoken] creating", Source: tlsPhase},
		Fact[string]{Since: "1.14", Value: "[bootstrap-token] creating", Source: tlsPhase},
		Fact[string]{Since: "1.15", Value: "[bootstrap-token] Creating", Source: tlsPhase + "; golden h/06"})
	KubeadmStoring = row("kubeadm/storing-configuration",
		Fact[string]{Since: "1.8", Value: "[uploadconfig] Storing", Source: "cmd/kubeadm/app/phases/uploadconfig"},
		Fact[string]{Since: "1.11", Value: "[uploadconfig] storing", Source: "cmd/kubeadm/app/phases/uploadconfig"},
		Fact[string]{Since: "1.14", Value: "[upload-config] storing", Source: "cmd/kubeadm/app/phases/uploadconfig"},
		Fact[string]{Since: "1.15", Value: "[upload-config] Storing", Source: "cmd/kubeadm/app/phases/uploadconfig; golden r2/03"})
)

// KubeadmAdmins is the binding that makes admin.conf's group administrators.
var KubeadmAdmins = row("kubeadm/admins", Fact[KubeadmGrant]{Since: "1.29", Source: "cmd/kubeadm/app/phases/kubeconfig EnsureAdminClusterRoleBinding",
	Value: KubeadmGrant{RBACDefaults: bound("kubeadm:cluster-admins", "cluster-admin", "Group kubeadm:cluster-admins")}})

// KubeadmKubeletConfig is the ConfigMap with the kubelets' configuration, empty
// where there is none: without the gate UnversionedKubeletConfigMap, which came
// with 1.23 and is on since 1.24, each minor has its own.
var KubeadmKubeletConfig = func() Row[string] {
	var facts []Fact[string]
	for e := (Era{11}); e.minor < 24; e.minor++ {
		facts = append(facts, Fact[string]{Since: e.String(), Value: "kubelet-config-" + e.String(), Source: "cmd/kubeadm/app/phases/kubelet/config.go configMapName"})
	}
	return row("kubeadm/kubelet-config", append(facts, Fact[string]{Since: "1.24", Value: "kubelet-config", Source: "cmd/kubeadm/app/constants KubeletBaseConfigurationConfigMap; golden r2/04"})...)
}()

// KubeadmConfigReader and KubeadmKubeletReader let those who join read kubeadm's
// configuration and the kubelets'.
var (
	KubeadmConfigReader = row("kubeadm/config-reader", Fact[KubeadmGrant]{Since: "1.12", Source: "cmd/kubeadm/app/phases/uploadconfig/uploadconfig.go",
		Value: KubeadmGrant{RBACDefaults: granted(reader("kube-system", "kubeadm:nodes-kubeadm-config", "configmaps", "kubeadm-config"), joiners, nodes)}})
	KubeadmKubeletReader = func() Row[KubeadmGrant] {
		var facts []Fact[KubeadmGrant]
		for _, f := range KubeadmKubeletConfig.Facts {
			facts = append(facts, Fact[KubeadmGrant]{Since: f.Since, Source: "cmd/kubeadm/app/phases/kubelet/config.go createConfigMapRBACRules",
				Value: KubeadmGrant{RBACDefaults: granted(reader("kube-system", "kubeadm:"+f.Value, "configmaps", f.Value), nodes, joiners)}})
		}
		return row("kubeadm/kubelet-reader", facts...)
	}()
	KubeadmCertsReader = row("kubeadm/certs-reader", Fact[KubeadmGrant]{Since: "1.14", Source: "cmd/kubeadm/app/phases/copycerts createRBAC",
		Value: KubeadmGrant{RBACDefaults: granted(reader("kube-system", "kubeadm:kubeadm-certs", "secrets", "kubeadm-certs"), joiners)}})
)

// KubeadmDNS and KubeadmProxy are what the addons may do. kube-dns, which was the
// addon before CoreDNS, has the default role system:kube-dns.
var (
	KubeadmDNS = func() Row[KubeadmGrant] {
		const source = "cmd/kubeadm/app/phases/addons/dns/manifests.go"
		may := func(since string, more ...RBACRule) Fact[KubeadmGrant] {
			rules := append([]RBACRule{{Verbs: "list watch", Groups: "core", Resources: "endpoints services pods namespaces"}}, more...)
			return Fact[KubeadmGrant]{Since: since, Source: source, Value: KubeadmGrant{RBACDefaults: granted(RBACRole{Name: "system:coredns", Rules: rules}, "ServiceAccount kube-system/coredns")}}
		}
		getNodes := RBACRule{Verbs: "get", Groups: "core", Resources: "nodes"}
		slices := RBACRule{Verbs: "list watch", Groups: "discovery.k8s.io", Resources: "endpointslices"}
		return row("kubeadm/coredns", may("1.11"), may("1.13", getNodes), may("1.22", getNodes, slices), may("1.28", slices))
	}()
	KubeadmProxy = func() Row[KubeadmGrant] {
		const source = "cmd/kubeadm/app/phases/addons/proxy/proxy.go"
		proxier := bound("kubeadm:node-proxier", "system:node-proxier", "ServiceAccount kube-system/kube-proxy")
		read := granted(reader("kube-system", "kube-proxy", "configmaps", "kube-proxy"), joiners)
		return row("kubeadm/kube-proxy",
			Fact[KubeadmGrant]{Value: KubeadmGrant{RBACDefaults: proxier}, Source: "cmd/kubeadm/app/phases/apiconfig/clusterroles.go; phases/addons/proxy/proxy.go"},
			Fact[KubeadmGrant]{Since: "1.12", Value: KubeadmGrant{RBACDefaults: RBACDefaults{Roles: read.Roles, Bindings: append(proxier.Bindings, read.Bindings...)}}, Source: source})
	}()
)

package era

// KubectlVersion is what kubectl calls itself; KustomizeVersion what is in it.
var (
	KubectlVersion   = row("KubectlVersion", patches("golden i/142")...)
	KustomizeVersion = row("KustomizeVersion", Fact[string]{Value: "v5.8.1", Source: "golden i/142"})
)

// KubectlDenyMessage is the message of the condition that kubectl certificate
// deny adds.
var KubectlDenyMessage = row("KubectlDenyMessage",
	Fact[string]{Value: "This CSR was approved by kubectl certificate deny.", Source: "kubectl certificates.go @1.7 to 1.11; golden-old 1.7.4, 1.8.0"},
	Fact[string]{Since: "1.12", Value: "This CSR was denied by kubectl certificate deny.", Source: "kubectl/pkg/cmd/certificates; golden i/64"})

// KubectlKeepsCondition: approving what is approved already writes nothing,
// unless --force is given.
var KubectlKeepsCondition = row("KubectlKeepsCondition", Fact[bool]{Since: "1.11", Value: true, Source: "kubectl/pkg/cmd/certificates; golden i/56, t/47"})

// KubectlRefusesOpposite: approving what is denied, or denying what is
// approved, is kubectl's own error.
var KubectlRefusesOpposite = row("KubectlRefusesOpposite", Fact[bool]{Since: "1.19", Value: true, Source: "kubectl/pkg/cmd/certificates; golden i/58, i/59, c/14, c/22"})

// DescribeSigner and DescribeDuration: kubectl describe csr has a line Signer,
// and Requested Duration when there is one.
var (
	DescribeSigner   = row("DescribeSigner", Fact[bool]{Since: "1.18", Value: true, Source: "kubectl/pkg/describe"})
	DescribeDuration = row("DescribeDuration", Fact[bool]{Since: "1.22", Value: true, Source: "kubectl/pkg/describe"})
)

// ServerTables: columns are the server's; kubectl only aligns them.
var ServerTables = row("ServerTables", Fact[bool]{Since: "1.11", Value: true, Source: "kubectl/pkg/cmd/get; DESIGN fact 9"})

// DeleteTellsNamespace: kubectl delete names the namespace of what it deleted.
var DeleteTellsNamespace = row("DeleteTellsNamespace", Fact[bool]{Since: "1.34", Value: true, Source: "kubectl/pkg/cmd/delete"})

// TopColumns are the columns of kubectl top node.
var TopColumns = row("TopColumns",
	Fact[string]{Value: "NAME CPU(cores) CPU% MEMORY(bytes) MEMORY%", Source: "k8s.io/kubectl/pkg/metricsutil/metrics_printer.go"},
	Fact[string]{Since: "1.33", Value: "NAME CPU(cores) CPU(%) MEMORY(bytes) MEMORY(%)", Source: "k8s.io/kubectl/pkg/metricsutil/metrics_printer.go"})

// DiscoveryAccept is how kubectl asks what a server serves: all groups at once since
// there is a version for that, and before group by group.
var DiscoveryAccept = row("kubectl/discovery-accept",
	Fact[string]{Value: "application/json", Source: "k8s.io/client-go/discovery @0.25"},
	Fact[string]{Since: "1.26", Value: "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", Source: "k8s.io/client-go/discovery @0.26"},
	Fact[string]{Since: "1.30", Value: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", Source: "k8s.io/client-go/discovery @0.30"})

// KubectlRBAC is the version in which kubectl create clusterrolebinding sends one.
var KubectlRBAC = row("kubectl/rbac-version",
	Fact[string]{Value: "v1beta1", Source: "pkg/kubectl/clusterrolebinding.go @1.9"},
	Fact[string]{Since: "1.18", Value: "v1", Source: "k8s.io/kubectl/pkg/generate/versioned/clusterrolebinding.go @0.18"})

// KubectlNodeRoles: a kubectl that makes its own columns tells the roles of nodes.
var KubectlNodeRoles = row("kubectl/node-roles", Fact[bool]{Since: "1.8", Value: true, Source: "pkg/printers/internalversion/printers.go @1.8"})

// KubectlNamesUnmapped: an object of a kind that the server has not is named.
var KubectlNamesUnmapped = row("kubectl/names-unmapped", Fact[bool]{Since: "1.24", Value: true, Source: "k8s.io/cli-runtime/pkg/resource/mapper.go @0.24, before: unable to recognize"})

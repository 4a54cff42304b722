package era

// What the Node authorizer and NodeRestriction say to a node, and hold it to.
var (
	// NodeUnrelated is why a node may not have an object; the verb is for its name.
	NodeUnrelated = row("api/node-unrelated",
		Fact[string]{Value: "no path found to object", Source: "plugin/pkg/auth/authorizer/node/node_authorizer.go"},
		Fact[string]{Since: "1.14", Value: "no relationship found between node %q and this object", Source: "plugin/pkg/auth/authorizer/node/node_authorizer.go"},
		Fact[string]{Since: "1.19", Value: "no relationship found between node '%s' and this object", Source: "plugin/pkg/auth/authorizer/node/node_authorizer.go; golden i/114"})
	// NodeListsItsObjects: a node may also list and watch a Secret or ConfigMap by name.
	NodeListsItsObjects = row("api/node-lists-its-objects", Fact[bool]{Since: "1.11", Value: true, Source: "plugin/pkg/auth/authorizer/node/node_authorizer.go authorizeReadNamespacedObject"})
	// NodeModifies is what is said to a node that would change another one.
	NodeModifies = row("api/node-modifies",
		Fact[string]{Until: "1.8", Value: "node %s cannot modify node %s", Source: "plugin/pkg/admission/noderestriction/admission.go"},
		Fact[string]{Since: "1.8", Value: "node %q cannot modify node %q", Source: "plugin/pkg/admission/noderestriction/admission.go"},
		Fact[string]{Since: "1.14", Value: "node %q is not allowed to modify node %q", Source: "plugin/pkg/admission/noderestriction/admission.go"})
	// NodeKeepsTaints, NodeKeepsLabels and NodeKeepsOwners: a node may not change those
	// of its own Node.
	NodeKeepsTaints = row("api/node-keeps-taints", Fact[bool]{Since: "1.11", Value: true, Source: "plugin/pkg/admission/noderestriction/admission.go"})
	NodeKeepsLabels = row("api/node-keeps-labels", Fact[bool]{Since: "1.13", Value: true, Source: "plugin/pkg/admission/noderestriction/admission.go"})
	NodeKeepsOwners = row("api/node-keeps-owners", Fact[bool]{Since: "1.34", Value: true, Source: "plugin/pkg/admission/noderestriction/admission.go"})
)

package era

import (
	"strings"
	"sync/atomic"
)

// Controller is one controller of kube-controller-manager: its name since 1.28,
// the name that it had before and that is an alias of it now, and whether "*"
// leaves it off. Account is the ServiceAccount in kube-system that it acts as with
// --use-service-account-credentials, for those that are simulated.
type Controller struct {
	Name, Alias string
	Off         bool
	Account     string
}

// Names are what --controllers takes for it: one name before 1.28, which renamed
// them all.
func (c Controller) Names(e Era) []string {
	if c.Alias == "" || !ControllerNames.In(e) {
		return []string{c.Called(e)}
	}
	return []string{c.Name, c.Alias}
}

// Controllers are those that a release has. A controller that a feature gate has to
// turn on is known whether or not it is on, as since 1.29; before, when it is on by
// default.
var Controllers controllerTable

type controllerTable struct{}

var controllerLists [Newest + 1]atomic.Pointer[[]Controller]

const controllerSource = "cmd/kube-controller-manager/app/controllermanager.go, from 1.36 controller_descriptor.go; from 1.28 names/controller_names.go"

// controllerNames are all names that --controllers takes.
func controllerNames(e Era) string {
	var names []string
	for _, c := range Controllers.In(e) {
		names = append(names, c.Names(e)...)
	}
	return strings.Join(names, " ")
}

// In lists the controllers of a release, sorted by name.
func (controllerTable) In(e Era) []Controller {
	if list := controllerLists[e.minor].Load(); list != nil {
		return *list
	}
	var list []Controller
	for line := range tableLines(controllerText) {
		f := strings.Fields(line)
		if c := (Controller{Name: f[1], Alias: strings.TrimPrefix(f[2], "none"), Off: f[3] == "off"}); e.spans(f[0]) {
			if len(f) > 4 {
				c.Account = f[4]
			}
			list = append(list, c)
		}
	}
	controllerLists[e.minor].Store(&list)
	return list
}

// controllerText: the span of minors, the name since 1.28, the name before, whether
// it is on by default, and the account of those that are simulated.
const controllerText = `
- bootstrap-signer-controller bootstrapsigner off bootstrap-signer
- certificatesigningrequest-approving-controller csrapproving on certificate-controller
9- certificatesigningrequest-cleaner-controller csrcleaner on certificate-controller
- certificatesigningrequest-signing-controller csrsigning on certificate-controller
14-36 cloud-node-lifecycle-controller cloud-node-lifecycle on
9- clusterrole-aggregation-controller clusterrole-aggregation on clusterrole-aggregation-controller
- cronjob-controller cronjob on
- daemonset-controller daemonset on
- deployment-controller deployment on
33- device-taint-eviction-controller none on
- disruption-controller disruption on
- endpoints-controller endpoint on
16- endpointslice-controller endpointslice on
19- endpointslice-mirroring-controller endpointslicemirroring on
19- ephemeral-volume-controller ephemeral-volume on
- garbage-collector-controller garbagecollector on generic-garbage-collector
- horizontal-pod-autoscaler-controller horizontalpodautoscaling on
- job-controller job on
32- kube-apiserver-serving-clustertrustbundle-publisher-controller none on
29- legacy-serviceaccount-token-cleaner-controller legacy-service-account-token-cleaner on
- namespace-controller namespace on namespace-controller
-9 node none on
10- node-ipam-controller nodeipam on
10- node-lifecycle-controller nodelifecycle on node-controller
-36 node-route-controller route on
- persistentvolume-attach-detach-controller attachdetach on
- persistentvolume-binder-controller persistentvolume-binder on
8- persistentvolume-expander-controller persistentvolume-expander on
10- persistentvolume-protection-controller pv-protection on
9- persistentvolumeclaim-protection-controller pvc-protection on
- pod-garbage-collector-controller podgc on
34- podcertificaterequest-cleaner-controller none on
36- podgroup-protection-controller none on
- replicaset-controller replicaset on
- replicationcontroller-controller replicationcontroller on
29- resourceclaim-controller resource-claim-controller on
36- resourcepoolstatusrequest-controller none on
- resourcequota-controller resourcequota on
13- root-ca-certificate-publisher-controller root-ca-cert-publisher on root-ca-cert-publisher
32- selinux-warning-controller none off
29- service-cidr-controller none on
-36 service-lb-controller service on
- serviceaccount-controller serviceaccount on service-account-controller
- serviceaccount-token-controller serviceaccount-token on
- statefulset-controller statefulset on
30- storage-version-migrator-controller svm on
29- storageversion-garbage-collector-controller storage-version-gc on
29- taint-eviction-controller none on
- token-cleaner-controller tokencleaner off token-cleaner
12- ttl-after-finished-controller ttl-after-finished on
- ttl-controller ttl on
29- validatingadmissionpolicy-status-controller none on
32- volumeattributesclass-protection-controller none on
`

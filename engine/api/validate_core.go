package api

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What kube-apiserver has against objects of the core and of smaller groups, as far as
// what it looks at matters here. Models pkg/apis/*/validation.

// largest is the limit of all data in a Secret or a ConfigMap, and annotationsLimit
// that of an object's annotations, in bytes.
const (
	largest          = 1 << 20
	annotationsLimit = 256 << 10
)

// says are the errors of a value, in the words of a check.
func says(at *field.Path, value string, msgs []string) (errs field.ErrorList) {
	for _, m := range msgs {
		errs = append(errs, field.Invalid(at, value, m))
	}
	return errs
}

// required says that a field is empty.
func required(at *field.Path, value string) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return nil
}

// oneOf says that a value is none of those that there are.
func oneOf[T ~string](at *field.Path, value T, known ...T) field.ErrorList {
	if slices.Contains(known, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, value, known)}
}

// checkOwners and checkFinalizers validate more of the metadata (Models
// apimachinery/pkg/api/validation ValidateOwnerReferences and ValidateFinalizers).
func checkOwners(at *field.Path, list []metav1.OwnerReference) (errs field.ErrorList) {
	first := ""
	for _, r := range list {
		if r.APIVersion == "" {
			errs = append(errs, field.Invalid(at.Child("apiVersion"), r.APIVersion, "version must not be empty"))
		}
		for _, f := range [][2]string{{"kind", r.Kind}, {"name", r.Name}, {"uid", string(r.UID)}} {
			if f[1] == "" {
				errs = append(errs, field.Invalid(at.Child(f[0]), "", "must not be empty"))
			}
		}
		if r.Controller == nil || !*r.Controller {
			continue
		}
		if first == "" {
			first = r.Kind + "/" + r.Name
			continue
		}
		errs = append(errs, field.Invalid(at, list, fmt.Sprintf("Only one reference can have Controller set to true. Found \"true\" in references for %v and %v", first, r.Kind+"/"+r.Name)))
	}
	return errs
}

func checkFinalizers(at *field.Path, m, old *metav1.ObjectMeta) (errs field.ErrorList) {
	for i, f := range m.Finalizers {
		if old == nil {
			errs = append(errs, says(at, f, validation.IsQualifiedName(f))...)
		}
		// Models pkg/apis/core/validation validateKubeFinalizerName.
		if !strings.Contains(f, "/") && !slices.Contains([]string{"kubernetes", metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents}, f) {
			errs = append(errs, field.Invalid(at.Index(i), f, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	if old == nil {
		return errs
	}
	var extra []string
	for _, f := range m.Finalizers {
		if !slices.Contains(old.Finalizers, f) {
			extra = append(extra, f)
		}
	}
	if slices.Sort(extra); old.DeletionTimestamp != nil && len(extra) > 0 {
		errs = append(errs, field.Forbidden(at, fmt.Sprintf("no new finalizers can be added if the object is being deleted, found new finalizers %#v", extra)))
	}
	return errs
}

// frozen says what may not change in an object that was made immutable.
func frozen(was, is *bool, same map[string]bool) (errs field.ErrorList) {
	if was == nil || !*was {
		return nil
	}
	same["immutable"] = is != nil && *is
	for _, name := range []string{"immutable", "data", "binaryData"} {
		if ok, asked := same[name]; asked && !ok {
			errs = append(errs, field.Forbidden(field.NewPath(name), "field is immutable when `immutable` is set"))
		}
	}
	return errs
}

func configMap(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	c := o.(*corev1.ConfigMap)
	if old != nil {
		was := old.(*corev1.ConfigMap)
		errs = frozen(was.Immutable, c.Immutable, map[string]bool{"data": reflect.DeepEqual(was.Data, c.Data), "binaryData": reflect.DeepEqual(was.BinaryData, c.BinaryData)})
	}
	size := 0
	for _, k := range sortedKeys(c.Data) {
		errs = append(errs, checkKeys(field.NewPath("data"), []string{k})...)
		if _, twice := c.BinaryData[k]; twice {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(k), k, "duplicate of key present in binaryData"))
		}
		size += len(c.Data[k])
	}
	errs = append(errs, checkKeys(field.NewPath("binaryData"), sortedKeys(c.BinaryData))...)
	for _, v := range c.BinaryData {
		size += len(v)
	}
	if size > largest {
		errs = append(errs, field.TooLong(field.NewPath(""), "", largest))
	}
	return errs
}

// secretNeeds are the keys without which a Secret of a type is refused; of those in one
// row one is enough, and all are named.
var secretNeeds = map[corev1.SecretType][][]string{
	corev1.SecretTypeTLS:              {{corev1.TLSCertKey}, {corev1.TLSPrivateKeyKey}},
	corev1.SecretTypeDockercfg:        {{corev1.DockerConfigKey}},
	corev1.SecretTypeDockerConfigJson: {{corev1.DockerConfigJsonKey}},
	corev1.SecretTypeBasicAuth:        {{corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey}},
	corev1.SecretTypeSSHAuth:          {{corev1.SSHAuthPrivateKey}},
}

func checkSecret(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	s, data := o.(*corev1.Secret), field.NewPath("data")
	if old != nil {
		was := old.(*corev1.Secret)
		if was.Type != s.Type {
			errs = append(errs, field.Invalid(field.NewPath("type"), s.Type, immutable))
		}
		errs = append(errs, frozen(was.Immutable, s.Immutable, map[string]bool{"data": reflect.DeepEqual(was.Data, s.Data)})...)
	}
	errs = append(errs, checkKeys(data, sortedKeys(s.Data))...)
	size := 0
	for _, v := range s.Data {
		size += len(v)
	}
	if size > largest {
		errs = append(errs, field.TooLong(data, "", largest))
	}
	if s.Type == corev1.SecretTypeServiceAccountToken {
		errs = append(errs, required(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), s.Annotations[corev1.ServiceAccountNameKey])...)
	}
	for _, row := range secretNeeds[s.Type] {
		if slices.ContainsFunc(row, func(k string) bool { v, ok := s.Data[k]; return ok && (len(v) > 0 || k != corev1.SSHAuthPrivateKey) }) {
			if s.Type == corev1.SecretTypeDockercfg || s.Type == corev1.SecretTypeDockerConfigJson {
				if err := json.Unmarshal(s.Data[row[0]], &map[string]any{}); err != nil {
					errs = append(errs, field.Invalid(data.Key(row[0]), "<secret contents redacted>", err.Error()))
				}
			}
			continue
		}
		for _, k := range row {
			errs = append(errs, field.Required(data.Key(k), ""))
		}
	}
	return errs
}

func checkNode(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	n, spec := o.(*corev1.Node), field.NewPath("spec")
	if old != nil {
		was := old.(*corev1.Node)
		for i, a := range n.Status.Addresses {
			if slices.Contains(n.Status.Addresses[:i], a) {
				errs = append(errs, field.Duplicate(field.NewPath("status", "addresses").Index(i), struct {
					Type    corev1.NodeAddressType
					Address string
				}(a)))
			}
		}
		if len(was.Spec.PodCIDRs) > 0 && !slices.Equal(was.Spec.PodCIDRs, n.Spec.PodCIDRs) {
			errs = append(errs, field.Forbidden(spec.Child("podCIDRs"), `node updates may not change podCIDR except from "" to valid`))
		}
		if was.Spec.ProviderID != "" && was.Spec.ProviderID != n.Spec.ProviderID {
			errs = append(errs, field.Forbidden(spec.Child("providerID"), `node updates may not change providerID except from "" to valid`))
		}
	} else {
		for i, c := range n.Spec.PodCIDRs {
			if _, err := netip.ParsePrefix(c); err != nil {
				errs = append(errs, field.Invalid(spec.Child("podCIDRs").Index(i), c, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"))
			}
		}
	}
	// The real one says metadata here, too.
	for i, t := range n.Spec.Taints {
		at := field.NewPath("metadata", "taints").Index(i)
		errs = append(errs, says(at.Child("key"), t.Key, validation.IsQualifiedName(t.Key))...)
		if bad := validation.IsValidLabelValue(t.Value); len(bad) > 0 {
			errs = append(errs, field.Invalid(at.Child("value"), t.Value, strings.Join(bad, ";")))
		}
		if t.Effect == "" {
			errs = append(errs, field.Required(at.Child("effect"), ""))
		} else {
			errs = append(errs, oneOf(at.Child("effect"), t.Effect, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)...)
		}
		if slices.ContainsFunc(n.Spec.Taints[:i], func(o corev1.Taint) bool { return o.Key == t.Key && o.Effect == t.Effect }) {
			// The types of the real one have no other names for their fields.
			twice := field.Duplicate(at, struct {
				Key, Value string
				Effect     corev1.TaintEffect
				TimeAdded  *metav1.Time
			}{t.Key, t.Value, t.Effect, t.TimeAdded})
			twice.Detail = "taints must be unique by key and effect pair"
			errs = append(errs, twice)
		}
	}
	return errs
}

func checkLease(_ *exchange, o, _ object, _ string) (errs field.ErrorList) {
	s, at := &o.(*coordinationv1.Lease).Spec, field.NewPath("spec")
	if n := s.LeaseDurationSeconds; n != nil && *n <= 0 {
		errs = append(errs, field.Invalid(at.Child("leaseDurationSeconds"), *n, "must be greater than 0"))
	}
	if n := s.LeaseTransitions; n != nil && *n < 0 {
		errs = append(errs, field.Invalid(at.Child("leaseTransitions"), *n, "must be greater than or equal to 0"))
	}
	if s.PreferredHolder != nil && *s.PreferredHolder != "" && (s.Strategy == nil || *s.Strategy == "") {
		errs = append(errs, field.Forbidden(at.Child("preferredHolder"), "may only be specified if `strategy` is defined"))
	}
	return errs
}

func checkNamespace(_ *exchange, o, old object, sub string) (errs field.ErrorList) {
	if old != nil && sub != "finalize" {
		return nil
	}
	at := field.NewPath("spec", "finalizers")
	for _, f := range o.(*corev1.Namespace).Spec.Finalizers {
		name := string(f)
		errs = append(errs, says(at, name, validation.IsQualifiedName(name))...)
		if !strings.Contains(name, "/") && !slices.Contains([]string{"kubernetes", metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents}, name) {
			errs = append(errs, field.Invalid(at, name, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

// checkEvent: an Event is in the namespace of what it is about, and one that has an
// eventTime says who reports what.
func checkEvent(_ *exchange, o, _ object, _ string) (errs field.ErrorList) {
	e := o.(*corev1.Event)
	about := e.InvolvedObject.Namespace
	wrong := about != "" && about != e.Namespace || about == "" && e.Namespace != metav1.NamespaceDefault
	if !e.EventTime.IsZero() {
		wrong = about == "" && e.Namespace != metav1.NamespaceDefault && e.Namespace != metav1.NamespaceSystem
	}
	if wrong {
		errs = append(errs, field.Invalid(field.NewPath("involvedObject", "namespace"), about, "does not match event.namespace"))
	}
	if e.EventTime.IsZero() {
		return errs
	}
	errs = append(errs, required(field.NewPath("reportingComponent"), e.ReportingController)...)
	errs = append(errs, says(field.NewPath("reportingComponent"), e.ReportingController, validation.IsQualifiedName(e.ReportingController))...)
	for _, f := range []struct {
		name, value string
		most        int
	}{{"reportingInstance", e.ReportingInstance, 128}, {"action", e.Action, 128}, {"reason", e.Reason, 128}, {"message", e.Message, 1024}} {
		if f.name != "message" {
			errs = append(errs, required(field.NewPath(f.name), f.value)...)
		}
		if len(f.value) > f.most {
			errs = append(errs, field.Invalid(field.NewPath(f.name), "", fmt.Sprintf("can have at most %v characters", f.most)))
		}
	}
	return errs
}

// checkPod: what a pod runs has a name and an image, and mounts volumes that it has.
func checkPod(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	if old != nil {
		return nil
	}
	s, at := &o.(*corev1.Pod).Spec, field.NewPath("spec")
	volumes := map[string]bool{}
	for i, v := range s.Volumes {
		at := at.Child("volumes").Index(i).Child("name")
		switch {
		case v.Name == "":
			errs = append(errs, field.Required(at, ""))
		case volumes[v.Name]:
			errs = append(errs, field.Duplicate(at, v.Name))
		default:
			errs = append(errs, says(at, v.Name, label(v.Name))...)
		}
		volumes[v.Name] = true
	}
	if len(s.Containers) == 0 {
		errs = append(errs, field.Required(at.Child("containers"), ""))
	}
	names := map[string]bool{}
	for _, list := range []struct {
		name string
		of   []corev1.Container
	}{{"containers", s.Containers}, {"initContainers", s.InitContainers}} {
		for i, c := range list.of {
			at := at.Child(list.name).Index(i)
			if c.Name == "" {
				errs = append(errs, field.Required(at.Child("name"), ""))
			} else {
				errs = append(errs, says(at.Child("name"), c.Name, label(c.Name))...)
			}
			errs = append(errs, required(at.Child("image"), c.Image)...)
			for j, m := range c.VolumeMounts {
				at := at.Child("volumeMounts").Index(j)
				if errs = append(errs, required(at.Child("name"), m.Name)...); m.Name != "" && !volumes[m.Name] {
					errs = append(errs, field.NotFound(at.Child("name"), m.Name))
				}
				errs = append(errs, required(at.Child("mountPath"), m.MountPath)...)
			}
			if names[c.Name] {
				errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
			}
			names[c.Name] = true
		}
	}
	if s.RestartPolicy != "" {
		errs = append(errs, oneOf(at.Child("restartPolicy"), s.RestartPolicy, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)...)
	}
	if s.NodeName != "" {
		errs = append(errs, says(at.Child("nodeName"), s.NodeName, subdomain(s.NodeName))...)
	}
	return errs
}

var protocols = []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}

func checkService(_ *exchange, o, _ object, _ string) (errs field.ErrorList) {
	s, at := &o.(*corev1.Service).Spec, field.NewPath("spec")
	if len(s.Ports) == 0 && s.ClusterIP != corev1.ClusterIPNone && s.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(at.Child("ports"), ""))
	}
	if s.Type == corev1.ServiceTypeExternalName {
		errs = append(errs, required(at.Child("externalName"), s.ExternalName)...)
	}
	for i, p := range s.Ports {
		var others []corev1.ServicePort
		errs = append(errs, checkPort(at.Child("ports").Index(i), p.Name, p.Port, p.Protocol, len(s.Ports) > 1)...)
		if others = s.Ports[:i]; p.Name != "" && slices.ContainsFunc(others, func(o corev1.ServicePort) bool { return o.Name == p.Name }) {
			errs = append(errs, field.Duplicate(at.Child("ports").Index(i).Child("name"), p.Name))
		}
	}
	errs = append(errs, oneOf(at.Child("type"), s.Type, corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)...)
	return append(errs, oneOf(at.Child("sessionAffinity"), s.SessionAffinity, corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)...)
}

func checkPort(at *field.Path, name string, port int32, protocol corev1.Protocol, several bool) (errs field.ErrorList) {
	if several {
		errs = required(at.Child("name"), name)
	}
	if name != "" {
		errs = append(errs, says(at.Child("name"), name, label(name))...)
	}
	for _, m := range validation.IsValidPortNum(int(port)) {
		errs = append(errs, field.Invalid(at.Child("port"), port, m))
	}
	return append(errs, oneOf(at.Child("protocol"), protocol, protocols...)...)
}

func checkEndpoints(_ *exchange, o, _ object, _ string) (errs field.ErrorList) {
	for i, s := range o.(*corev1.Endpoints).Subsets {
		at := field.NewPath("subsets").Index(i)
		if len(s.Addresses)+len(s.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(at, "must specify `addresses` or `notReadyAddresses`"))
		}
		for j, a := range slices.Concat(s.Addresses, s.NotReadyAddresses) {
			list, n := "addresses", j
			if j >= len(s.Addresses) {
				list, n = "notReadyAddresses", j-len(s.Addresses)
			}
			if _, err := netip.ParseAddr(a.IP); err != nil {
				errs = append(errs, field.Invalid(at.Child(list).Index(n).Child("ip"), a.IP, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"))
			}
		}
		for j, p := range s.Ports {
			errs = append(errs, checkPort(at.Child("ports").Index(j), p.Name, p.Port, p.Protocol, len(s.Ports) > 1)...)
		}
	}
	return errs
}

func checkRuntimeClass(_ *exchange, o, _ object, _ string) field.ErrorList {
	h := o.(*nodev1.RuntimeClass).Handler
	if h == "" {
		return required(field.NewPath("handler"), h)
	}
	return says(field.NewPath("handler"), h, label(h))
}

// accessModes are those of claims and volumes.
func accessModes(at *field.Path, list []corev1.PersistentVolumeAccessMode, none string) (errs field.ErrorList) {
	if len(list) == 0 {
		return field.ErrorList{field.Required(at, none)}
	}
	for _, m := range list {
		errs = append(errs, oneOf(at, m, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)...)
	}
	return errs
}

func checkClaim(_ *exchange, o, _ object, _ string) field.ErrorList {
	s, at := &o.(*corev1.PersistentVolumeClaim).Spec, field.NewPath("spec")
	errs := accessModes(at.Child("accessModes"), s.AccessModes, "at least 1 access mode is required")
	if _, ok := s.Resources.Requests[corev1.ResourceStorage]; !ok {
		errs = append(errs, field.Required(at.Child("resources").Key("storage"), ""))
	}
	return errs
}

func checkVolume(_ *exchange, o, _ object, _ string) field.ErrorList {
	s, at := &o.(*corev1.PersistentVolume).Spec, field.NewPath("spec")
	errs := accessModes(at.Child("accessModes"), s.AccessModes, "")
	if len(s.Capacity) == 0 {
		errs = append(errs, field.Required(at.Child("capacity"), ""))
	}
	if _, ok := s.Capacity[corev1.ResourceStorage]; !ok || len(s.Capacity) > 1 {
		errs = append(errs, field.NotSupported(at.Child("capacity"), s.Capacity, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	if s.PersistentVolumeSource == (corev1.PersistentVolumeSource{}) {
		errs = append(errs, field.Required(at, "must specify a volume type"))
	}
	return errs
}

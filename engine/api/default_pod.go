package api

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// or is a pointer to what stands there when it stands nowhere.
func or[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

// fill fills in an empty field.
func fill[T ~string](p *T, value T) {
	if *p == "" {
		*p = value
	}
}

func number(p *int32, value int32) {
	if *p == 0 {
		*p = value
	}
}

// containers calls f for all containers of a pod, with the list that each is in.
func containers(spec *corev1.PodSpec, f func(list string, i int, c *corev1.Container)) {
	for i := range spec.InitContainers {
		f("initContainers", i, &spec.InitContainers[i])
	}
	for i := range spec.Containers {
		f("containers", i, &spec.Containers[i])
	}
	for i := range spec.EphemeralContainers {
		f("ephemeralContainers", i, (*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
}

// defaultPod fills in what a pod leaves out (Models pkg/apis/core/v1 SetObjectDefaults_Pod).
func defaultPod(o object) {
	spec := &o.(*corev1.Pod).Spec
	containers(spec, func(list string, _ int, c *corev1.Container) {
		if list != "ephemeralContainers" {
			askFor(&c.Resources, c.Resources.Limits)
		}
	})
	if r := spec.Resources; r != nil && len(r.Limits) > 0 {
		most := corev1.ResourceList{}
		for name, q := range sumOf(spec, false) {
			if name == corev1.ResourceCPU || name == corev1.ResourceMemory {
				most[name] = q
			}
		}
		askFor(r, most)
		for name, q := range r.Limits {
			if _, ok := r.Requests[name]; !ok && podResource(string(name)) {
				r.Requests[name] = q
			}
		}
	}
	or(&spec.EnableServiceLinks, true)
	if spec.HostNetwork {
		containers(spec, func(list string, _ int, c *corev1.Container) {
			for i := range c.Ports {
				if list != "ephemeralContainers" {
					number(&c.Ports[i].HostPort, c.Ports[i].ContainerPort)
				}
			}
		})
	}
	fill(&spec.DNSPolicy, corev1.DNSClusterFirst)
	fill(&spec.RestartPolicy, corev1.RestartPolicyAlways)
	or(&spec.SecurityContext, corev1.PodSecurityContext{})
	or(&spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	fill(&spec.SchedulerName, corev1.DefaultSchedulerName)
	if spec.ServiceAccountName == "" {
		spec.ServiceAccountName = spec.DeprecatedServiceAccount
	}
	spec.DeprecatedServiceAccount = spec.ServiceAccountName
	for i := range spec.Volumes {
		defaultVolume(&spec.Volumes[i])
	}
	containers(spec, func(_ string, _ int, c *corev1.Container) { defaultContainer(c) })
}

// dropDisabled takes away what is for gates that are off (Models pkg/api/pod
// DropDisabledPodFields).
func dropDisabled(spec *corev1.PodSpec) {
	spec.SchedulingGroup = nil
	containers(spec, func(_ string, _ int, c *corev1.Container) {
		if c.Lifecycle != nil {
			c.Lifecycle.StopSignal = nil
		}
	})
	for _, v := range spec.Volumes {
		if v.Projected != nil {
			for i := range v.Projected.Sources {
				v.Projected.Sources[i].ClusterTrustBundle, v.Projected.Sources[i].PodCertificate = nil, nil
			}
		}
	}
}

// askFor makes limits requests where there are none.
func askFor(r *corev1.ResourceRequirements, limits corev1.ResourceList) {
	if limits == nil {
		return
	}
	if r.Requests = maps.Clone(r.Requests); r.Requests == nil {
		r.Requests = corev1.ResourceList{}
	}
	for name, q := range limits {
		if _, ok := r.Requests[name]; !ok {
			r.Requests[name] = q
		}
	}
}

func defaultContainer(c *corev1.Container) {
	fill(&c.ImagePullPolicy, pullPolicy(c.Image))
	fill(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	fill(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	for i := range c.Ports {
		fill(&c.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	for i := range c.Env {
		if f := c.Env[i].ValueFrom; f != nil {
			defaultFieldRef(f.FieldRef)
			if f.FileKeyRef != nil {
				or(&f.FileKeyRef.Optional, false)
			}
		}
	}
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if p == nil {
			continue
		}
		number(&p.TimeoutSeconds, 1)
		number(&p.PeriodSeconds, 10)
		number(&p.SuccessThreshold, 1)
		number(&p.FailureThreshold, 3)
		defaultHTTPGet(p.HTTPGet)
		if p.GRPC != nil {
			or(&p.GRPC.Service, "")
		}
	}
	if l := c.Lifecycle; l != nil {
		for _, h := range []*corev1.LifecycleHandler{l.PostStart, l.PreStop} {
			if h != nil {
				defaultHTTPGet(h.HTTPGet)
			}
		}
	}
}

func defaultHTTPGet(h *corev1.HTTPGetAction) {
	if h != nil {
		fill(&h.Path, "/")
		fill(&h.Scheme, corev1.URISchemeHTTP)
		if h.Port == (intstr.IntOrString{Type: intstr.String}) {
			h.Port = intstr.IntOrString{}
		}
	}
}

func defaultFieldRef(f *corev1.ObjectFieldSelector) {
	if f != nil {
		fill(&f.APIVersion, "v1")
	}
}

func defaultVolume(v *corev1.Volume) {
	s := &v.VolumeSource
	if *s == (corev1.VolumeSource{}) {
		s.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	const mode = corev1.SecretVolumeSourceDefaultMode
	if s.HostPath != nil {
		or(&s.HostPath.Type, corev1.HostPathUnset)
	}
	if s.Secret != nil {
		or(&s.Secret.DefaultMode, mode)
	}
	if s.ConfigMap != nil {
		or(&s.ConfigMap.DefaultMode, mode)
	}
	if s.DownwardAPI != nil {
		or(&s.DownwardAPI.DefaultMode, mode)
		defaultFiles(s.DownwardAPI.Items)
	}
	if s.Projected != nil {
		or(&s.Projected.DefaultMode, mode)
		for i := range s.Projected.Sources {
			p := &s.Projected.Sources[i]
			if p.DownwardAPI != nil {
				defaultFiles(p.DownwardAPI.Items)
			}
			if p.ServiceAccountToken != nil {
				or(&p.ServiceAccountToken.ExpirationSeconds, 3600)
			}
		}
	}
	if s.Image != nil {
		fill(&s.Image.PullPolicy, pullPolicy(s.Image.Reference))
	}
	if s.Ephemeral != nil && s.Ephemeral.VolumeClaimTemplate != nil {
		or(&s.Ephemeral.VolumeClaimTemplate.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	}
	if s.ISCSI != nil {
		fill(&s.ISCSI.ISCSIInterface, "default")
	}
	if s.RBD != nil {
		fill(&s.RBD.RBDPool, "rbd")
		fill(&s.RBD.RadosUser, "admin")
		fill(&s.RBD.Keyring, "/etc/ceph/keyring")
	}
	if s.AzureDisk != nil {
		or(&s.AzureDisk.CachingMode, corev1.AzureDataDiskCachingReadWrite)
		or(&s.AzureDisk.FSType, "ext4")
		or(&s.AzureDisk.ReadOnly, false)
		or(&s.AzureDisk.Kind, corev1.AzureSharedBlobDisk)
	}
	if s.ScaleIO != nil {
		fill(&s.ScaleIO.StorageMode, "ThinProvisioned")
		fill(&s.ScaleIO.FSType, "xfs")
	}
}

func defaultFiles(list []corev1.DownwardAPIVolumeFile) {
	for i := range list {
		defaultFieldRef(list[i].FieldRef)
	}
}

// pullPolicy is Always for the tag latest, also when it is not written (Models
// pkg/util/parsers ParseImageName).
func pullPolicy(image string) corev1.PullPolicy {
	name, _, digest := strings.Cut(image, "@")
	tag, tagged := "", false
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag, tagged = name[:i], name[i+1:], true
	}
	if name != "" && (tag == "latest" || !tagged && !digest) && (strings.Contains(name, "/") || name == strings.ToLower(name)) {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// sumOf is what a pod's containers ask for, or their limits (Models
// component-helpers/resource AggregateContainerRequests): that of all that run together,
// or of the one init container that asks for more, beside those that began before it.
func sumOf(spec *corev1.PodSpec, limits bool) corev1.ResourceList {
	of := func(c *corev1.Container) corev1.ResourceList {
		if limits {
			return c.Resources.Limits
		}
		return c.Resources.Requests
	}
	add := func(to, from corev1.ResourceList) {
		for name, q := range from {
			sum := to[name]
			sum.Add(q)
			to[name] = sum
		}
	}
	all, beside, most := corev1.ResourceList{}, corev1.ResourceList{}, corev1.ResourceList{}
	for i := range spec.Containers {
		add(all, of(&spec.Containers[i]))
	}
	raise := func(to, from corev1.ResourceList) {
		for name, q := range from {
			if was, ok := to[name]; !ok || q.Cmp(was) > 0 {
				to[name] = q
			}
		}
	}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		if sidecar(c) {
			add(all, of(c))
			add(beside, of(c))
			raise(most, beside)
			continue
		}
		now := maps.Clone(beside)
		add(now, of(c))
		raise(most, now)
	}
	raise(all, most)
	return all
}

func sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// qosClass models pkg/apis/core/helper/qos ComputePodQOS.
func qosClass(spec *corev1.PodSpec) corev1.PodQOSClass {
	requests, limits, guaranteed := corev1.ResourceList{}, corev1.ResourceList{}, true
	sum := func(to, from corev1.ResourceList) (n int) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if q, ok := from[name]; ok && q.Sign() > 0 {
				all := to[name]
				all.Add(q)
				to[name] = all
				n++
			}
		}
		return n
	}
	one := func(r *corev1.ResourceRequirements) {
		sum(requests, r.Requests)
		if sum(limits, r.Limits) < 2 {
			guaranteed = false
		}
	}
	if spec.Resources != nil {
		one(spec.Resources)
	} else {
		containers(spec, func(list string, _ int, c *corev1.Container) {
			if list != "ephemeralContainers" {
				one(&c.Resources)
			}
		})
	}
	if len(requests)+len(limits) == 0 {
		return corev1.PodQOSBestEffort
	}
	for name, q := range requests {
		if l, ok := limits[name]; !ok || l.Cmp(q) != 0 {
			guaranteed = false
		}
	}
	if guaranteed && len(requests) == len(limits) {
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

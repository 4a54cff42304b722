package api

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What a container is, asks for and is asked by. Models pkg/apis/core/validation.

// containers models validateContainers, validateInitContainers and
// validateEphemeralContainers.
func (p *podLook) containers(s spot, volumes map[string]*corev1.Volume) {
	if len(p.Spec.Containers) == 0 {
		s.must("containers", "")
	}
	var names []string
	used := map[string]bool{}
	for i := range p.Spec.Containers {
		c, at := &p.Spec.Containers[i], s.item("containers", i)
		p.common(at, c, volumes)
		if slices.Contains(names, c.Name) {
			at.twice("name", c.Name)
		}
		names = append(names, c.Name)
		p.tended(at, c)
		p.restarts(at, c, false)
	}
	for i := range p.Spec.Containers {
		s.item("containers", i).hostPorts(p.Spec.Containers[i].Ports, used)
	}
	for i := range p.Spec.InitContainers {
		c, at := &p.Spec.InitContainers[i], s.item("initContainers", i)
		p.common(at, c, volumes)
		p.restarts(at, c, true)
		if slices.Contains(names, c.Name) {
			at.twice("name", c.Name)
		} else if c.Name != "" {
			names = append(names, c.Name)
		}
		// The real one counts from the first container here.
		s.item("initContainers", 0).hostPorts(c.Ports, map[string]bool{})
		if sidecar(c) {
			p.tended(at, c)
			continue
		}
		for _, f := range []given{{"lifecycle", c.Lifecycle != nil}, {"livenessProbe", c.LivenessProbe != nil}, {"readinessProbe", c.ReadinessProbe != nil}, {"startupProbe", c.StartupProbe != nil}} {
			if f.set {
				at.forbid(f.name, "may not be set for init containers without restartPolicy=Always")
			}
		}
		for j, r := range c.ResizePolicy {
			if r.RestartPolicy == corev1.RestartContainer {
				at.item("resizePolicy", j).bad("restartPolicy", word(r.RestartPolicy), "must not be set to 'RestartContainer' for non-sidecar initContainers")
			}
		}
	}
	p.ephemeral(s, volumes, names)
}

// ephemeral models validateEphemeralContainers.
func (p *podLook) ephemeral(s spot, volumes map[string]*corev1.Volume, names []string) {
	const words = "cannot be set for an Ephemeral Container"
	others := slices.Clone(names)
	for i := range p.Spec.EphemeralContainers {
		e, at := &p.Spec.EphemeralContainers[i], s.item("ephemeralContainers", i)
		c := (*corev1.Container)(&e.EphemeralContainerCommon)
		p.common(at, c, volumes)
		at.trimmed(c.Image)
		if slices.Contains(names, c.Name) {
			at.twice("name", c.Name)
		}
		names = append(names, c.Name)
		if e.TargetContainerName != "" && !slices.Contains(others, e.TargetContainerName) {
			at.absent("targetContainerName", e.TargetContainerName)
		}
		for _, f := range []given{{"ports", c.Ports != nil}, {"resources", c.Resources.Limits != nil || c.Resources.Requests != nil || c.Resources.Claims != nil}, {"resizePolicy", c.ResizePolicy != nil},
			{"restartPolicy", c.RestartPolicy != nil}, {"restartPolicyRules", c.RestartPolicyRules != nil}, {"livenessProbe", c.LivenessProbe != nil},
			{"readinessProbe", c.ReadinessProbe != nil}, {"startupProbe", c.StartupProbe != nil}, {"lifecycle", c.Lifecycle != nil}} {
			if f.set {
				at.forbid(f.name, words)
			}
		}
		for j, m := range c.VolumeMounts {
			if m.SubPath != "" {
				at.item("volumeMounts", j).forbid("subPath", words)
			}
			if m.SubPathExpr != "" {
				at.item("volumeMounts", j).forbid("subPathExpr", words)
			}
		}
	}
}

// common models validateContainerCommon.
func (p *podLook) common(s spot, c *corev1.Container, volumes map[string]*corev1.Volume) {
	if s.need("name", c.Name) {
		s.says("name", c.Name, label(c.Name))
	}
	s.need("image", c.Image)
	s.oneOf("terminationMessagePolicy", string(c.TerminationMessagePolicy), "File", "FallbackToLogsOnError")
	var names []string
	for i, port := range c.Ports {
		s := s.item("ports", i)
		if port.Name != "" {
			msgs := validation.IsValidPortName(port.Name)
			s.says("name", port.Name, msgs)
			if len(msgs) == 0 && slices.Contains(names, port.Name) {
				s.twice("name", port.Name)
			}
			names = append(names, port.Name)
		}
		if port.ContainerPort == 0 {
			s.must("containerPort", "")
		} else {
			s.port("containerPort", port.ContainerPort)
		}
		if port.HostPort != 0 {
			s.port("hostPort", port.HostPort)
		}
		s.choice("protocol", string(port.Protocol), "SCTP", "TCP", "UDP")
	}
	for i := range c.Env {
		s.item("env", i).env(&c.Env[i])
	}
	for i, f := range c.EnvFrom {
		all := s.in("envFrom")
		s := s.item("envFrom", i)
		if f.Prefix != "" {
			s.says("prefix", f.Prefix, validation.IsRelaxedEnvVarName(f.Prefix))
		}
		if r := f.ConfigMapRef; r != nil && s.in("configMapRef").need("name", r.Name) {
			s.in("configMapRef").says("name", r.Name, masked(r.Name))
		}
		if r := f.SecretRef; r != nil && s.in("secretRef").need("name", r.Name) {
			s.in("secretRef").says("name", r.Name, masked(r.Name))
		}
		if f.ConfigMapRef == nil && f.SecretRef == nil {
			all.bad("", "", "must specify one of: `configMapRef` or `secretRef`")
		} else if f.ConfigMapRef != nil && f.SecretRef != nil {
			all.bad("", "", "may not have more than one field specified at a time")
		}
	}
	s.mounts(c, volumes)
	s.devices(c, volumes)
	s.choice("imagePullPolicy", string(c.ImagePullPolicy), "Always", "IfNotPresent", "Never")
	s.in("resources").amounts(&c.Resources, containerResource)
	s.in("resources").claimNames(c.Resources.Claims, p.claims)
	p.resizes(s.in("resizePolicy"), c.ResizePolicy)
	p.container(s, c.SecurityContext)
}

// masked is the rule for names that may end with a dash.
func masked(name string) []string {
	if len(name) > 1 && strings.HasSuffix(name, "-") {
		name = name[:len(name)-2] + "a"
	}
	return subdomain(name)
}

// resizes models validateResizePolicy.
func (p *podLook) resizes(s spot, list []corev1.ContainerResizePolicy) {
	for i, r := range list {
		if slices.ContainsFunc(list[:i], func(o corev1.ContainerResizePolicy) bool { return o.ResourceName == r.ResourceName }) {
			s.item("", i).twice("", word(r.ResourceName))
		}
		s.choice("", string(r.ResourceName), "cpu", "memory")
		s.choice("", string(r.RestartPolicy), "NotRequired", "RestartContainer")
		if p.Spec.RestartPolicy == corev1.RestartPolicyNever && r.RestartPolicy != corev1.NotRequired {
			s.bad("", word(r.RestartPolicy), "must be 'NotRequired' when pod `restartPolicy` is 'Never'")
		}
	}
}

// restarts models validateContainerRestartPolicy, and with init
// validateInitContainerRestartPolicy.
func (p *podLook) restarts(s spot, c *corev1.Container, init bool) {
	switch n := len(c.RestartPolicyRules); {
	case c.RestartPolicy == nil && n == 0:
		return
	case c.RestartPolicy == nil:
		if s.must("restartPolicy", "must specify restartPolicy when restart rules are used"); init {
			return
		}
	default:
		s.oneOf("restartPolicy", string(*c.RestartPolicy), "Always", "Never", "OnFailure")
	}
	if n := len(c.RestartPolicyRules); n > 20 {
		s.add(field.TooMany(s.path("restartPolicyRules"), n, 20))
	}
	for i, r := range c.RestartPolicyRules {
		s := s.item("restartPolicyRules", i)
		s.oneOf("action", string(r.Action), "Restart", "RestartAllContainers")
		if r.ExitCodes == nil {
			s.must("exitCodes", "must be specified")
			continue
		}
		s.in("exitCodes").oneOf("operator", string(r.ExitCodes.Operator), "In", "NotIn")
		if n := len(r.ExitCodes.Values); n > 255 {
			s.add(field.TooMany(s.in("exitCodes").path("values"), n, 255))
		}
	}
}

// hostPorts models AccumulateUniqueHostPorts.
func (s spot) hostPorts(list []corev1.ContainerPort, used map[string]bool) {
	for i, p := range list {
		if p.HostPort == 0 {
			continue
		}
		text := fmt.Sprintf("%s/%s/%d", p.Protocol, p.HostIP, p.HostPort)
		if used[text] {
			s.item("ports", i).twice("hostPort", text)
		}
		used[text] = true
	}
}

// tended are the probes and hooks of a container (Models validateLifecycle,
// validateLivenessProbe, validateReadinessProbe and validateStartupProbe).
func (p *podLook) tended(s spot, c *corev1.Container) {
	grace := p.Spec.TerminationGracePeriodSeconds
	if l := c.Lifecycle; l != nil {
		for _, h := range []struct {
			name string
			of   *corev1.LifecycleHandler
		}{{"postStart", l.PostStart}, {"preStop", l.PreStop}} {
			if h.of != nil {
				s.in("lifecycle").in(h.name).handler(h.of.Exec, h.of.HTTPGet, h.of.TCPSocket, nil, h.of.Sleep, grace)
			}
		}
	}
	for _, probe := range []struct {
		name string
		of   *corev1.Probe
	}{{"livenessProbe", c.LivenessProbe}, {"readinessProbe", c.ReadinessProbe}, {"startupProbe", c.StartupProbe}} {
		p := probe.of
		if p == nil {
			continue
		}
		s := s.in(probe.name)
		s.handler(p.Exec, p.HTTPGet, p.TCPSocket, p.GRPC, nil, grace)
		s.natural("initialDelaySeconds", int64(p.InitialDelaySeconds))
		s.natural("timeoutSeconds", int64(p.TimeoutSeconds))
		s.natural("periodSeconds", int64(p.PeriodSeconds))
		s.natural("successThreshold", int64(p.SuccessThreshold))
		s.natural("failureThreshold", int64(p.FailureThreshold))
		if n := p.TerminationGracePeriodSeconds; n != nil && *n <= 0 {
			s.bad("terminationGracePeriodSeconds", *n, "must be greater than 0")
		}
		if n := p.TerminationGracePeriodSeconds; n != nil && probe.name == "readinessProbe" {
			s.bad("terminationGracePeriodSeconds", *n, "must not be set for readinessProbes")
		}
		if probe.name != "readinessProbe" && p.SuccessThreshold != 1 {
			s.bad("successThreshold", p.SuccessThreshold, "must be 1")
		}
	}
}

// handler models validateHandler.
func (s spot) handler(exec *corev1.ExecAction, get *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction, grpc *corev1.GRPCAction, sleep *corev1.SleepAction, grace *int64) {
	found := false
	for _, h := range []struct {
		given
		look func(s spot)
	}{
		{given{"exec", exec != nil}, func(s spot) {
			if len(exec.Command) == 0 {
				s.must("command", "")
			}
		}},
		{given{"httpGet", get != nil}, func(s spot) {
			s.need("path", get.Path)
			s.portOrName("port", get.Port)
			s.oneOf("scheme", string(get.Scheme), "HTTP", "HTTPS")
			for _, h := range get.HTTPHeaders {
				s.says("httpHeaders", h.Name, validation.IsHTTPHeaderName(h.Name))
			}
		}},
		{given{"tcpSocket", tcp != nil}, func(s spot) { s.portOrName("port", tcp.Port) }},
		{given{"grpc", grpc != nil}, func(s spot) { s.portOrName("port", intstr.FromInt32(grpc.Port)) }},
		{given{"sleep", sleep != nil}, func(s spot) {
			if grace != nil && (sleep.Seconds < 0 || sleep.Seconds > *grace) {
				s.bad("", sleep.Seconds, fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", *grace))
			}
		}},
	} {
		switch {
		case !h.set:
		case found:
			s.forbid(h.name, "may not specify more than 1 handler type")
		default:
			found = true
			h.look(s.in(h.name))
		}
	}
	if !found {
		s.must("", "must specify a handler type")
	}
}

func (s spot) portOrName(name string, p intstr.IntOrString) {
	if p.Type == intstr.String {
		s.says(name, p.StrVal, validation.IsValidPortName(p.StrVal))
		return
	}
	for _, m := range validation.IsValidPortNum(int(p.IntVal)) {
		s.bad(name, int(p.IntVal), m)
	}
}

// mounts models ValidateVolumeMounts. Some of its paths leave the number out.
func (s spot) mounts(c *corev1.Container, volumes map[string]*corev1.Volume) {
	for i, m := range c.VolumeMounts {
		all, s := s.in("volumeMounts"), s.item("volumeMounts", i)
		s.need("name", m.Name)
		if volumes[m.Name] == nil {
			s.absent("name", m.Name)
		}
		s.need("mountPath", m.MountPath)
		if slices.ContainsFunc(c.VolumeMounts[:i], func(o corev1.VolumeMount) bool { return o.MountPath == m.MountPath }) {
			s.bad("mountPath", m.MountPath, "must be unique")
		}
		if slices.ContainsFunc(c.VolumeDevices, func(d corev1.VolumeDevice) bool { return d.Name == m.Name }) {
			s.bad("name", m.Name, "must not already exist in volumeDevices")
		}
		if slices.ContainsFunc(c.VolumeDevices, func(d corev1.VolumeDevice) bool { return d.DevicePath == m.MountPath }) {
			s.bad("mountPath", m.MountPath, "must not already exist as a path in volumeDevices")
		}
		if m.SubPath != "" {
			all.relative("subPath", m.SubPath)
		}
		if m.SubPathExpr != "" {
			if m.SubPath != "" {
				s.bad("subPathExpr", m.SubPathExpr, "subPathExpr and subPath are mutually exclusive")
			}
			all.relative("subPathExpr", m.SubPathExpr)
		}
		maybe(all, "mountPropagation", m.MountPropagation, "Bidirectional", "HostToContainer", "None")
		if p := m.MountPropagation; p != nil && *p == corev1.MountPropagationBidirectional && (c.SecurityContext == nil || c.SecurityContext.Privileged == nil || !*c.SecurityContext.Privileged) {
			all.forbid("mountPropagation", "Bidirectional mount propagation is available only to privileged containers")
		}
		if r := m.RecursiveReadOnly; r != nil {
			all.oneOf("recursiveReadOnly", string(*r), "Disabled", "Enabled", "IfPossible")
			if *r == corev1.RecursiveReadOnlyEnabled || *r == corev1.RecursiveReadOnlyIfPossible {
				if !m.ReadOnly {
					all.forbid("recursiveReadOnly", "may only be specified when readOnly is true")
				}
				if m.MountPropagation != nil && *m.MountPropagation != corev1.MountPropagationNone {
					all.forbid("recursiveReadOnly", "may only be specified when mountPropagation is None or not specified")
				}
			}
		}
	}
}

// devices models ValidateVolumeDevices.
func (s spot) devices(c *corev1.Container, volumes map[string]*corev1.Volume) {
	var paths, names []string
	for i, d := range c.VolumeDevices {
		s := s.item("volumeDevices", i)
		s.need("name", d.Name)
		if slices.Contains(names, d.Name) {
			s.bad("name", d.Name, "must be unique")
		}
		if v := volumes[d.Name]; v == nil {
			s.absent("name", d.Name)
		} else if v.PersistentVolumeClaim == nil && v.Ephemeral == nil {
			s.bad("name", d.Name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode")
		}
		s.need("devicePath", d.DevicePath)
		if slices.Contains(paths, d.DevicePath) {
			s.bad("devicePath", d.DevicePath, "must be unique")
		}
		if slices.Contains(strings.Split(d.DevicePath, "/"), "..") {
			s.bad("devicePath", d.DevicePath, "can not contain backsteps ('..')")
		} else {
			paths = append(paths, d.DevicePath)
		}
		if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == d.Name }) {
			s.bad("name", d.Name, "must not already exist in volumeMounts")
		}
		if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == d.DevicePath }) {
			s.bad("devicePath", d.DevicePath, "must not already exist as a path in volumeMounts")
		}
		if d.Name != "" {
			names = append(names, d.Name)
		}
	}
}

// env models ValidateEnv and validateEnvVarValueFrom.
func (s spot) env(e *corev1.EnvVar) {
	if s.need("name", e.Name) {
		s.says("name", e.Name, validation.IsRelaxedEnvVarName(e.Name))
	}
	f := e.ValueFrom
	if f == nil {
		return
	}
	s = s.in("valueFrom")
	n := 0
	if f.FieldRef != nil {
		n++
		s.in("fieldRef").fieldRef(f.FieldRef, "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
	}
	if f.ResourceFieldRef != nil {
		n++
		s.in("resourceFieldRef").resourceRef(f.ResourceFieldRef, false)
	}
	if r := f.ConfigMapKeyRef; r != nil {
		n++
		s.in("configMapKeyRef").keyRef(r.Name, r.Key)
	}
	if r := f.SecretKeyRef; r != nil {
		n++
		s.in("secretKeyRef").keyRef(r.Name, r.Key)
	}
	if r := f.FileKeyRef; r != nil {
		n++
		s := s.in("fileKeyRef")
		if s.need("key", r.Key) {
			s.says("key", r.Key, validation.IsRelaxedEnvVarName(r.Key))
		}
		if s.need("volumeName", r.VolumeName) {
			s.says("volumeName", r.VolumeName, label(r.VolumeName))
		}
		if s.need("path", r.Path) {
			s.noDots("path", r.Path)
		}
	}
	switch {
	case n == 0:
		s.bad("", "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`")
	case e.Value != "":
		s.bad("", "", "may not be specified when `value` is not empty")
	case n > 1:
		s.bad("", "", "may not have more than one field specified at a time")
	}
}

func (s spot) keyRef(name, key string) {
	s.says("name", name, subdomain(name))
	if s.need("key", key) {
		s.says("key", key, validation.IsConfigMapKey(key))
	}
}

// fieldRef models validateObjectFieldSelector.
func (s spot) fieldRef(f *corev1.ObjectFieldSelector, known ...string) {
	const convert = "error converting fieldPath: "
	if !s.need("apiVersion", f.APIVersion) || !s.need("fieldPath", f.FieldPath) {
		return
	}
	path := f.FieldPath
	if f.APIVersion != "v1" {
		s.bad("fieldPath", path, convert+"unsupported pod version: "+f.APIVersion)
		return
	}
	if rest, ok := strings.CutSuffix(path, "']"); ok {
		if of, key, ok := strings.Cut(rest, "['"); ok && of != "" {
			switch of {
			case "metadata.annotations":
				s.labelKey("", strings.ToLower(key))
			case "metadata.labels":
				s.labelKey("", key)
			default:
				s.bad("fieldPath", path, convert+"field label does not support subscript: "+path)
			}
			return
		}
	}
	if path == "spec.host" { // as old clients say
		path = "spec.nodeName"
	}
	if !slices.Contains([]string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.restartPolicy",
		"spec.serviceAccountName", "spec.schedulerName", "status.phase", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}, path) {
		s.bad("fieldPath", path, convert+"field label not supported: "+path)
	} else if !slices.Contains(known, path) {
		s.add(field.NotSupported(s.path("fieldPath"), path, known))
	}
}

// resourceRef models validateContainerResourceFieldSelector and
// validateContainerResourceDivisor.
func (s spot) resourceRef(f *corev1.ResourceFieldSelector, volume bool) {
	known := []string{"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"}
	name, huge := f.Resource, strings.HasPrefix(f.Resource, "limits.hugepages-") || strings.HasPrefix(f.Resource, "requests.hugepages-")
	if volume && f.ContainerName == "" {
		s.must("containerName", "")
	} else if s.need("resource", name) && !huge && !slices.Contains(known, name) {
		s.add(field.NotSupported(s.path("resource"), name, known))
	}
	if f.Divisor.IsZero() {
		return
	}
	const sizes = "1 1k 1M 1G 1T 1P 1E 1Ki 1Mi 1Gi 1Ti 1Pi 1Ei"
	_, kind, _ := strings.Cut(name, ".")
	kind = map[string]string{"cpu": "cpu", "memory": "memory", "ephemeral-storage": "local ephemeral storage"}[kind]
	values := strings.Fields(sizes)
	words := "values " + strings.ReplaceAll(sizes, " ", ", ")
	switch {
	case huge:
		kind = "hugepages"
	case !slices.Contains(known, name):
		return
	case kind == "cpu":
		values, words = []string{"1m", "1"}, "values 1m and 1"
	}
	if !slices.Contains(values, f.Divisor.String()) {
		s.bad("divisor", name, "only divisor's "+words+" are supported with the "+kind+" resource")
	}
}

package api

import (
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What kube-apiserver has against claims, volumes and drivers. Models
// pkg/apis/core/validation and pkg/apis/storage/validation.

const betaClass = "volume.beta.kubernetes.io/storage-class"

// modes are the access modes of claims and volumes.
func (s spot) modes(list []corev1.PersistentVolumeAccessMode, none string) {
	if len(list) == 0 {
		s.must("accessModes", none)
	}
	alone, shared := false, false
	for _, m := range list {
		n := len(*s.errs)
		s.oneOf("accessModes", string(m), "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
		alone = alone || m == corev1.ReadWriteOncePod
		shared = shared || m != corev1.ReadWriteOncePod && len(*s.errs) == n
	}
	if alone && shared {
		s.forbid("accessModes", "may not use ReadWriteOncePod with other access modes")
	}
}

// claim models ValidatePersistentVolumeClaimSpec. The selector comes before the modes
// that there are not.
func (s spot) claim(c *corev1.PersistentVolumeClaimSpec) {
	if len(c.AccessModes) == 0 {
		s.must("accessModes", "at least 1 access mode is required")
	}
	s.selector("selector", c.Selector)
	if len(c.AccessModes) > 0 {
		s.modes(c.AccessModes, "")
	}
	if q, ok := c.Resources.Requests[corev1.ResourceStorage]; !ok {
		s.key("resources", "storage").must("", "")
	} else if q.Sign() <= 0 {
		s.key("resources", "storage").bad("", q.String(), "must be greater than zero")
	}
	if n := c.StorageClassName; n != nil && *n != "" {
		s.says("storageClassName", *n, subdomain(*n))
	}
	maybe(s, "volumeMode", c.VolumeMode, "Block", "Filesystem")
	source := func(name string, group *string, kind, object string) {
		s := s.in(name)
		s.needs("name", object, "kind", kind)
		if group == nil || *group == "" {
			if kind != "PersistentVolumeClaim" {
				s.bad("", kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
			}
		} else {
			s.says("apiGroup", *group, subdomain(*group))
		}
	}
	d, r := c.DataSource, c.DataSourceRef
	if d != nil {
		source("dataSource", d.APIGroup, d.Kind, d.Name)
	}
	if r != nil {
		source("dataSourceRef", r.APIGroup, r.Kind, r.Name)
	}
	if d != nil && r != nil && !(equal(d.APIGroup, r.APIGroup) && d.Kind == r.Kind && d.Name == r.Name) {
		s.bad("", struct{}{}, "must match dataSourceRef")
	}
	if n := c.VolumeAttributesClassName; n != nil && *n != "" {
		s.says("volumeAttributesClassName", *n, subdomain(*n))
	}
}

// defaultClaim fills in the mode, and makes the two sources one (Models
// SetDefaults_PersistentVolumeClaimSpec, EnforceDataSourceBackwardsCompatibility and
// NormalizeDataSources). One in another namespace is for a gate that is off.
func defaultClaim(o object) {
	c := &o.(*corev1.PersistentVolumeClaim).Spec
	or(&c.VolumeMode, corev1.PersistentVolumeFilesystem)
	if c.DataSourceRef != nil {
		c.DataSourceRef.Namespace = nil
	}
	if d := c.DataSource; d != nil && c.DataSourceRef == nil {
		group := ""
		if d.APIGroup != nil {
			group = *d.APIGroup
		}
		if !(d.Kind == "PersistentVolumeClaim" && group == "" || d.Kind == "VolumeSnapshot" && group == "snapshot.storage.k8s.io") {
			c.DataSource = nil
		} else {
			c.DataSourceRef = &corev1.TypedObjectReference{APIGroup: d.APIGroup, Kind: d.Kind, Name: d.Name}
		}
	} else if r := c.DataSourceRef; r != nil && d == nil {
		c.DataSource = &corev1.TypedLocalObjectReference{APIGroup: r.APIGroup, Kind: r.Kind, Name: r.Name}
	}
}

// checkClaim models ValidatePersistentVolumeClaim, ValidatePersistentVolumeClaimUpdate
// and ValidatePersistentVolumeClaimStatusUpdate.
func checkClaim(_ *exchange, o, old object, sub string) (errs field.ErrorList) {
	n, s := o.(*corev1.PersistentVolumeClaim), begin(&errs)
	if sub == "status" {
		s.in("status").claimStatus(&n.Status)
		return errs
	}
	if s.in("spec").claim(&n.Spec); old == nil {
		return errs
	}
	was := old.(*corev1.PersistentVolumeClaim)
	now, before := n.Spec, was.Spec
	if before.VolumeName == "" {
		before.VolumeName = now.VolumeName
	}
	note, noted := was.Annotations[betaClass]
	newNote, newNoted := n.Annotations[betaClass]
	if noted && before.StorageClassName == nil && now.StorageClassName != nil && *now.StorageClassName == note && (!newNoted || newNote == note) {
		now.StorageClassName = nil
	} else {
		if newNote != note {
			s.in("metadata").in("annotations").bad(betaClass, newNote, immutable)
		}
		if now.StorageClassName != nil && before.StorageClassName == nil && (!noted || *now.StorageClassName == note) {
			now.StorageClassName = before.StorageClassName
		}
	}
	size := was.Spec.Resources.Requests[corev1.ResourceStorage]
	asked := n.Spec.Resources.Requests[corev1.ResourceStorage]
	if n.Status.Phase == corev1.ClaimBound {
		requests := corev1.ResourceList{}
		for k, q := range now.Resources.Requests {
			requests[k] = q
		}
		requests[corev1.ResourceStorage] = size
		now.Resources.Requests = requests
		now.VolumeAttributesClassName = before.VolumeAttributesClassName
	}
	if !equality.Semantic.DeepEqual(now, before) {
		// The real one goes on with the difference between the two.
		s.forbid("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n")
	}
	if has := n.Status.Capacity[corev1.ResourceStorage]; asked.Cmp(size) < 0 && asked.Cmp(has) <= 0 {
		s.in("spec").in("resources").in("requests").forbid("storage", "field can not be less than status.capacity")
	}
	if !equal(n.Spec.VolumeMode, was.Spec.VolumeMode) {
		s.bad("volumeMode", n.Spec.VolumeMode, immutable)
	}
	if c := n.Spec.VolumeAttributesClassName; was.Status.CurrentVolumeAttributesClassName != nil && !equal(c, was.Spec.VolumeAttributesClassName) {
		if words := " is forbidden when status.currentVolumeAttributesClassName is not nil"; c == nil {
			s.in("spec").forbid("volumeAttributesClassName", "update to nil"+words)
		} else if *c == "" {
			s.in("spec").forbid("volumeAttributesClassName", "update to empty string"+words)
		}
	}
	return errs
}

func (s spot) claimStatus(n *corev1.PersistentVolumeClaimStatus) {
	basic := func(list string, name corev1.ResourceName, of corev1.ResourceList) bool {
		q := of[name]
		if q.Sign() < 0 {
			s.key(list, string(name)).bad("", q.Value(), "must be a valid resource quantity")
		}
		return q.Sign() >= 0
	}
	for _, name := range sortedResources(n.Capacity) {
		basic("capacity", name, n.Capacity)
	}
	resource := func(list, name string) bool {
		msgs := qualified(name)
		if s.says(list, name, msgs); len(msgs) == 0 && native(name) && name != "storage" {
			s.add(field.NotSupported(s.path(list), name, []string{"storage"}))
			return false
		}
		return len(msgs) == 0
	}
	for _, name := range slices.Sorted(maps.Keys(n.AllocatedResourceStatuses)) {
		known := []string{"ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"}
		resource("allocatedResourceStatuses", string(name))
		if slices.Sort(known); !slices.Contains(known, string(n.AllocatedResourceStatuses[name])) {
			s.add(field.NotSupported(s.path("allocatedResourceStatuses"), word(name), known))
		}
	}
	for _, name := range sortedResources(n.AllocatedResources) {
		if resource("allocatedResources", string(name)) {
			basic("allocatedResources", name, n.AllocatedResources)
		}
	}
}

// defaultVolumeObject models SetObjectDefaults_PersistentVolume.
func defaultVolumeObject(o object) {
	v := &o.(*corev1.PersistentVolume).Spec
	fill(&v.PersistentVolumeReclaimPolicy, corev1.PersistentVolumeReclaimRetain)
	or(&v.VolumeMode, corev1.PersistentVolumeFilesystem)
	if v.HostPath != nil {
		or(&v.HostPath.Type, corev1.HostPathUnset)
	}
	if v.ISCSI != nil {
		fill(&v.ISCSI.ISCSIInterface, "default")
	}
	if v.RBD != nil {
		fill(&v.RBD.RBDPool, "rbd")
		fill(&v.RBD.RadosUser, "admin")
		fill(&v.RBD.Keyring, "/etc/ceph/keyring")
	}
	if v.ScaleIO != nil {
		fill(&v.ScaleIO.StorageMode, "ThinProvisioned")
		fill(&v.ScaleIO.FSType, "xfs")
	}
	defaultVolume(&corev1.Volume{VolumeSource: corev1.VolumeSource{AzureDisk: v.AzureDisk}})
}

// checkVolume models ValidatePersistentVolume and ValidatePersistentVolumeUpdate. Of a
// status nothing is looked at.
func checkVolume(_ *exchange, o, old object, sub string) (errs field.ErrorList) {
	n, s := o.(*corev1.PersistentVolume), begin(&errs)
	if sub == "status" {
		return nil
	}
	if s.in("spec").volume(n.Name, &n.Spec); old == nil {
		return errs
	}
	now, was := n.Spec.PersistentVolumeSource, old.(*corev1.PersistentVolume).Spec
	if was.CSI != nil && was.CSI.ControllerExpandSecretRef == nil && now.CSI != nil && now.CSI.ControllerExpandSecretRef != nil {
		csi := *now.CSI
		csi.ControllerExpandSecretRef = nil
		now.CSI = &csi
	}
	if !equality.Semantic.DeepEqual(now, was.PersistentVolumeSource) {
		// The real one goes on with the difference between the two.
		s.in("spec").forbid("persistentvolumesource", "spec.persistentvolumesource is immutable after creation\n")
	}
	if !equal(n.Spec.VolumeMode, was.VolumeMode) {
		s.bad("volumeMode", n.Spec.VolumeMode, immutable)
	}
	if was.NodeAffinity != nil && !equality.Semantic.DeepEqual(n.Spec.NodeAffinity, was.NodeAffinity) && !renamedAffinity(n.Spec.NodeAffinity, was.NodeAffinity) {
		s.bad("nodeAffinity", internal{n.Spec.NodeAffinity}, immutable+", except for updating from beta label to GA")
	}
	if was.VolumeAttributesClassName != nil && n.Spec.VolumeAttributesClassName == nil {
		s.in("spec").forbid("volumeAttributesClassName", "update from non-nil value to nil is forbidden")
	}
	return errs
}

// stableLabels are those that labels from before had in mind (Models betaToGALabel).
var stableLabels = map[string]string{corev1.LabelFailureDomainBetaZone: corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
	"beta.kubernetes.io/os": corev1.LabelOSStable, "beta.kubernetes.io/arch": corev1.LabelArchStable, corev1.LabelInstanceType: corev1.LabelInstanceTypeStable}

// renamedAffinity reports that nothing changed but labels that have a new name.
func renamedAffinity(n, o *corev1.VolumeNodeAffinity) bool {
	if n == nil || n.Required == nil || o.Required == nil || len(n.Required.NodeSelectorTerms) != len(o.Required.NodeSelectorTerms) {
		return false
	}
	for i := range n.Required.NodeSelectorTerms {
		a, b := n.Required.NodeSelectorTerms[i], o.Required.NodeSelectorTerms[i]
		if !equality.Semantic.DeepEqual(a.MatchFields, b.MatchFields) || len(a.MatchExpressions) != len(b.MatchExpressions) {
			return false
		}
		for j := range a.MatchExpressions {
			x, y := a.MatchExpressions[j], b.MatchExpressions[j]
			if stableLabels[y.Key] == x.Key {
				y.Key = x.Key
			}
			if !equality.Semantic.DeepEqual(x, y) {
				return false
			}
		}
	}
	return true
}

// volume models ValidatePersistentVolumeSpec.
func (s spot) volume(name string, v *corev1.PersistentVolumeSpec) {
	s.modes(v.AccessModes, "")
	if len(v.Capacity) == 0 {
		s.must("capacity", "")
	}
	if _, ok := v.Capacity[corev1.ResourceStorage]; !ok || len(v.Capacity) > 1 {
		s.add(field.NotSupported(s.path("capacity"), v.Capacity, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	for _, k := range sortedResources(v.Capacity) {
		q, s := v.Capacity[k], s.key("capacity", string(k))
		if q.Value() < 0 {
			s.bad("", q.Value(), "must be a valid resource quantity")
		}
		if q.Sign() <= 0 {
			s.bad("", q.String(), "must be greater than zero")
		}
	}
	if v.PersistentVolumeReclaimPolicy != "" {
		s.oneOf("persistentVolumeReclaimPolicy", string(v.PersistentVolumeReclaimPolicy), "Delete", "Recycle", "Retain")
	}
	if a := v.NodeAffinity; a != nil {
		if s := s.in("nodeAffinity"); a.Required == nil {
			s.must("required", "must specify required node constraints")
		} else {
			s.in("required").nodeSelector(a.Required)
		}
	}
	all := s
	if !s.volumeSources(name, v, all) {
		s.must("", "must specify a volume type")
	}
	if v.HostPath != nil && path.Clean(v.HostPath.Path) == "/" && v.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		s.forbid("persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
	}
	if v.StorageClassName != "" {
		s.says("storageClassName", v.StorageClassName, subdomain(v.StorageClassName))
	}
	maybe(s, "volumeMode", v.VolumeMode, "Block", "Filesystem")
	if c := v.VolumeAttributesClassName; c != nil {
		if *c == "" {
			s.must("volumeAttributesClassName", "an empty string is disallowed")
		} else {
			s.says("volumeAttributesClassName", *c, subdomain(*c))
		}
		if v.CSI == nil {
			s.must("csi", "has to be specified when using volumeAttributesClassName")
		}
	}
}

func (s spot) volumeSources(name string, v *corev1.PersistentVolumeSpec, all spot) bool {
	secret := func(s spot, name string, r *corev1.SecretReference) {
		if r == nil {
			return
		}
		if s = s.in(name); s.need("name", r.Name) {
			s.says("name", r.Name, subdomain(r.Name))
		}
		if s.need("namespace", r.Namespace) {
			s.says("namespace", r.Namespace, label(r.Namespace))
		}
	}
	return s.only(source{given{"hostPath", v.HostPath != nil}, "", func(s spot) { s.hostPath(v.HostPath) }},
		source{given{"gcePersistentDisk", v.GCEPersistentDisk != nil}, "persistentDisk", func(s spot) { s.disk("pdName", v.GCEPersistentDisk.PDName, v.GCEPersistentDisk.Partition) }},
		source{given{"awsElasticBlockStore", v.AWSElasticBlockStore != nil}, "", func(s spot) { s.disk("volumeID", v.AWSElasticBlockStore.VolumeID, v.AWSElasticBlockStore.Partition) }},
		source{given{"glusterfs", v.Glusterfs != nil}, "", func(s spot) {
			s.needs("endpoints", v.Glusterfs.EndpointsName, "path", v.Glusterfs.Path)
			if n := v.Glusterfs.EndpointsNamespace; n != nil && *n == "" {
				s.bad("endpointsNamespace", *n, "if the endpointnamespace is set, it must be a valid namespace name")
			} else if n != nil {
				s.says("endpointsNamespace", *n, label(*n))
			}
		}},
		source{given{"flocker", v.Flocker != nil}, "", func(s spot) { s.flocker(v.Flocker) }},
		source{given{"nfs", v.NFS != nil}, "", func(s spot) { s.nfs(v.NFS) }},
		source{given{"rbd", v.RBD != nil}, "", func(s spot) { s.rbd(v.RBD.CephMonitors, v.RBD.RBDImage) }},
		source{given{"quobyte", v.Quobyte != nil}, "", func(s spot) { s.quobyte(v.Quobyte) }},
		source{given{"cephFS", v.CephFS != nil}, "cephfs", func(s spot) { s.monitors(v.CephFS.Monitors) }},
		source{given{"iscsi", v.ISCSI != nil}, "", func(s spot) {
			i := v.ISCSI
			s.iscsi(i.TargetPortal, i.IQN, i.Lun, i.InitiatorName, "must be valid format", func() {
				if (i.DiscoveryCHAPAuth || i.SessionCHAPAuth) && i.SecretRef == nil {
					s.must("secretRef", "")
				}
				if i.SecretRef != nil {
					s.in("secretRef").need("name", i.SecretRef.Name)
				}
			})
			if i.InitiatorName != nil && len(name+":"+i.TargetPortal) > 64 {
				s.bad("targetportal", i.TargetPortal, longPortal)
			}
		}},
		source{given{"cinder", v.Cinder != nil}, "", func(s spot) {
			if s.need("volumeID", v.Cinder.VolumeID); v.Cinder.SecretRef != nil {
				s.in("secretRef").needs("name", v.Cinder.SecretRef.Name, "namespace", v.Cinder.SecretRef.Namespace)
			}
		}},
		source{given{"fc", v.FC != nil}, "", func(s spot) { s.fc(v.FC) }},
		source{given{"flexVolume", v.FlexVolume != nil}, "", func(s spot) { s.flex(v.FlexVolume.Driver, v.FlexVolume.Options) }},
		source{given{"azureFile", v.AzureFile != nil}, "", func(s spot) {
			s.needs("secretName", v.AzureFile.SecretName, "shareName", v.AzureFile.ShareName)
			if n := v.AzureFile.SecretNamespace; n != nil {
				s.need("secretNamespace", *n)
			}
		}},
		source{given{"vsphereVolume", v.VsphereVolume != nil}, "", func(s spot) { s.need("volumePath", v.VsphereVolume.VolumePath) }},
		source{given{"photonPersistentDisk", v.PhotonPersistentDisk != nil}, "", func(s spot) { s.need("pdID", v.PhotonPersistentDisk.PdID) }},
		source{given{"portworxVolume", v.PortworxVolume != nil}, "", func(s spot) { s.need("volumeID", v.PortworxVolume.VolumeID) }},
		source{given{"azureDisk", v.AzureDisk != nil}, "", func(s spot) { s.azureDisk(v.AzureDisk) }},
		source{given{"scaleIO", v.ScaleIO != nil}, "", func(s spot) {
			s.needs("gateway", v.ScaleIO.Gateway, "system", v.ScaleIO.System, "volumeName", v.ScaleIO.VolumeName)
		}},
		source{given{"local", v.Local != nil}, "", func(s spot) {
			if s.need("path", v.Local.Path) {
				s.noDots("path", v.Local.Path)
			}
			if v.NodeAffinity == nil {
				all.must("nodeAffinity", "Local volume requires node affinity")
			}
		}},
		source{given{"storageos", v.StorageOS != nil}, "", func(s spot) {
			if s.storageOS(v.StorageOS.VolumeName, v.StorageOS.VolumeNamespace); v.StorageOS.SecretRef != nil {
				s.in("secretRef").needs("name", v.StorageOS.SecretRef.Name, "namespace", v.StorageOS.SecretRef.Namespace)
			}
		}},
		source{given{"csi", v.CSI != nil}, "", func(s spot) {
			s.driverName("driver", v.CSI.Driver)
			s.need("volumeHandle", v.CSI.VolumeHandle)
			secret(s, "controllerPublishSecretRef", v.CSI.ControllerPublishSecretRef)
			secret(s, "controllerExpandSecretRef", v.CSI.ControllerExpandSecretRef)
			secret(s, "nodePublishSecretRef", v.CSI.NodePublishSecretRef)
			secret(s, "nodeExpandSecretRef", v.CSI.NodeExpandSecretRef)
		}})
}

// defaultDriver models pkg/apis/storage/v1 SetDefaults_CSIDriver.
func defaultDriver(o object) {
	d := &o.(*storagev1.CSIDriver).Spec
	or(&d.AttachRequired, true)
	or(&d.PodInfoOnMount, false)
	or(&d.StorageCapacity, false)
	or(&d.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
	if len(d.VolumeLifecycleModes) == 0 {
		d.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
	}
	or(&d.RequiresRepublish, false)
	or(&d.SELinuxMount, false)
	d.PreventPodSchedulingIfMissing = nil
}

// checkDriver models ValidateCSIDriver and ValidateCSIDriverUpdate.
func checkDriver(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	d, s := &o.(*storagev1.CSIDriver).Spec, begin(&errs, "spec")
	maybe(s, "fsGroupPolicy", d.FSGroupPolicy, "File", "None", "ReadWriteOnceWithFSType")
	for i, t := range d.TokenRequests {
		s := s.item("tokenRequests", i)
		if slices.ContainsFunc(d.TokenRequests[:i], func(o storagev1.TokenRequest) bool { return o.Audience == t.Audience }) {
			s.twice("audience", t.Audience)
		} else if t.ExpirationSeconds != nil {
			s.lifetime(*t.ExpirationSeconds)
		}
	}
	for _, m := range d.VolumeLifecycleModes {
		s.oneOf("volumeLifecycleModes", string(m), "Persistent", "Ephemeral")
	}
	if n := d.NodeAllocatableUpdatePeriodSeconds; n != nil && *n < 10 {
		s.bad("nodeAllocatableUpdatePeriodSeconds", *n, "must be greater than or equal to 10 seconds")
	}
	if b := d.ServiceAccountTokenInSecrets; b != nil && len(d.TokenRequests) == 0 {
		s.bad("serviceAccountTokenInSecrets", *b, "serviceAccountTokenInSecrets is set but no tokenRequests are specified")
	}
	if old == nil {
		return errs
	}
	was := &old.(*storagev1.CSIDriver).Spec
	if !equal(d.AttachRequired, was.AttachRequired) {
		s.bad("attachedRequired", d.AttachRequired, immutable)
	}
	if !slices.Equal(d.VolumeLifecycleModes, was.VolumeLifecycleModes) {
		s.bad("volumeLifecycleModes", d.VolumeLifecycleModes, immutable)
	}
	return errs
}

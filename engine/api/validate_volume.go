package api

import (
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// What a volume comes from. Models pkg/apis/core/validation validateVolumeSource and
// ValidatePersistentVolumeSpec.

// source is one of the things that a volume may come from.
type source struct {
	given
	at   string // its name in the paths of errors, when that is another
	look func(s spot)
}

// only looks at the sources that are given, and says that there are two of them.
func (s spot) only(list ...source) (found bool) {
	for _, k := range list {
		switch {
		case !k.set:
		case found:
			s.forbid(k.name, oneType)
		default:
			found = true
			if k.at == "" {
				k.at = k.name
			}
			k.look(s.in(k.at))
		}
	}
	return found
}

// needs are fields that may not be empty: names and values by turns.
func (s spot) needs(fields ...string) {
	for i := 0; i < len(fields); i += 2 {
		s.need(fields[i], fields[i+1])
	}
}

// volumes models ValidateVolumes; it returns those that are in order.
func (p *podLook) volumes(s spot) map[string]*corev1.Volume {
	var made []string
	for _, v := range p.Spec.Volumes {
		if v.Ephemeral != nil && p.Name != "" {
			made = append(made, p.Name+"-"+v.Name)
		}
	}
	good := map[string]*corev1.Volume{}
	for i := range p.Spec.Volumes {
		v, s := &p.Spec.Volumes[i], s.item("volumes", i)
		before := len(*s.errs)
		p.volume(s, v)
		if s.need("name", v.Name) {
			s.says("name", v.Name, label(v.Name))
		}
		if good[v.Name] != nil {
			s.twice("name", v.Name)
		}
		if len(*s.errs) == before {
			good[v.Name] = v
		}
		if c := v.PersistentVolumeClaim; c != nil && slices.Contains(made, c.ClaimName) {
			s.in("persistentVolumeClaim").bad("claimName", c.ClaimName, "must not reference a PVC that gets created for an ephemeral volume")
		}
	}
	return good
}

func (p *podLook) volume(s spot, v *corev1.Volume) {
	if e := v.EmptyDir; e != nil && e.SizeLimit != nil && e.SizeLimit.Sign() < 0 {
		s.in("emptyDir").forbid("sizeLimit", "SizeLimit field must be a valid resource quantity")
	}
	all := s
	// The real one looks at emptyDir apart, and what comes second is told of by its name.
	found := s.only(source{given{"emptyDir", v.EmptyDir != nil}, "", func(spot) {}},
		source{given{"hostPath", v.HostPath != nil}, "", func(s spot) { s.hostPath(v.HostPath) }},
		source{given{"gitRepo", v.GitRepo != nil}, "", func(s spot) { s.need("repository", v.GitRepo.Repository); s.relative("directory", v.GitRepo.Directory) }},
		source{given{"gcePersistentDisk", v.GCEPersistentDisk != nil}, "persistentDisk", func(s spot) { s.disk("pdName", v.GCEPersistentDisk.PDName, v.GCEPersistentDisk.Partition) }},
		source{given{"awsElasticBlockStore", v.AWSElasticBlockStore != nil}, "", func(s spot) { s.disk("volumeID", v.AWSElasticBlockStore.VolumeID, v.AWSElasticBlockStore.Partition) }},
		source{given{"secret", v.Secret != nil}, "", func(s spot) {
			s.need("secretName", v.Secret.SecretName)
			s.mode("defaultMode", v.Secret.DefaultMode)
			s.files(v.Secret.Items)
		}},
		source{given{"nfs", v.NFS != nil}, "", func(s spot) { s.nfs(v.NFS) }},
		source{given{"iscsi", v.ISCSI != nil}, "", func(s spot) {
			i := v.ISCSI
			s.iscsi(i.TargetPortal, i.IQN, i.Lun, i.InitiatorName, "must be valid format starting with iqn, eui, or naa", func() {
				if (i.DiscoveryCHAPAuth || i.SessionCHAPAuth) && i.SecretRef == nil {
					s.must("secretRef", "")
				}
			})
			if i.InitiatorName != nil && len(v.Name+":"+i.TargetPortal) > 64 {
				all.bad("name", v.Name, longPortal)
			}
		}},
		source{given{"glusterfs", v.Glusterfs != nil}, "", func(s spot) { s.needs("endpoints", v.Glusterfs.EndpointsName, "path", v.Glusterfs.Path) }},
		source{given{"flocker", v.Flocker != nil}, "", func(s spot) { s.flocker(v.Flocker) }},
		source{given{"persistentVolumeClaim", v.PersistentVolumeClaim != nil}, "", func(s spot) { s.need("claimName", v.PersistentVolumeClaim.ClaimName) }},
		source{given{"rbd", v.RBD != nil}, "", func(s spot) { s.rbd(v.RBD.CephMonitors, v.RBD.RBDImage) }},
		source{given{"cinder", v.Cinder != nil}, "", func(s spot) {
			if s.need("volumeID", v.Cinder.VolumeID); v.Cinder.SecretRef != nil {
				s.in("secretRef").need("name", v.Cinder.SecretRef.Name)
			}
		}},
		source{given{"cephFS", v.CephFS != nil}, "cephfs", func(s spot) { s.monitors(v.CephFS.Monitors) }},
		source{given{"quobyte", v.Quobyte != nil}, "", func(s spot) { s.quobyte(v.Quobyte) }},
		source{given{"downwarAPI", v.DownwardAPI != nil}, "downwardAPI", func(s spot) {
			s.mode("defaultMode", v.DownwardAPI.DefaultMode)
			for i := range v.DownwardAPI.Items {
				s.podFile(&v.DownwardAPI.Items[i])
			}
		}},
		source{given{"fc", v.FC != nil}, "", func(s spot) { s.fc(v.FC) }},
		source{given{"flexVolume", v.FlexVolume != nil}, "", func(s spot) { s.flex(v.FlexVolume.Driver, v.FlexVolume.Options) }},
		source{given{"configMap", v.ConfigMap != nil}, "", func(s spot) {
			s.need("name", v.ConfigMap.Name)
			s.mode("defaultMode", v.ConfigMap.DefaultMode)
			s.files(v.ConfigMap.Items)
		}},
		source{given{"azureFile", v.AzureFile != nil}, "", func(s spot) { s.needs("secretName", v.AzureFile.SecretName, "shareName", v.AzureFile.ShareName) }},
		source{given{"vsphereVolume", v.VsphereVolume != nil}, "", func(s spot) { s.need("volumePath", v.VsphereVolume.VolumePath) }},
		source{given{"photonPersistentDisk", v.PhotonPersistentDisk != nil}, "", func(s spot) { s.need("pdID", v.PhotonPersistentDisk.PdID) }},
		source{given{"portworxVolume", v.PortworxVolume != nil}, "", func(s spot) { s.need("volumeID", v.PortworxVolume.VolumeID) }},
		source{given{"azureDisk", v.AzureDisk != nil}, "", func(s spot) { s.azureDisk(v.AzureDisk) }},
		source{given{"storageos", v.StorageOS != nil}, "", func(s spot) {
			if s.storageOS(v.StorageOS.VolumeName, v.StorageOS.VolumeNamespace); v.StorageOS.SecretRef != nil {
				s.in("secretRef").need("name", v.StorageOS.SecretRef.Name)
			}
		}},
		source{given{"projected", v.Projected != nil}, "", func(s spot) { s.projected(v.Projected) }},
		source{given{"scaleIO", v.ScaleIO != nil}, "", func(s spot) {
			s.needs("gateway", v.ScaleIO.Gateway, "system", v.ScaleIO.System, "volumeName", v.ScaleIO.VolumeName)
		}},
		source{given{"csi", v.CSI != nil}, "", func(s spot) {
			s.driverName("driver", v.CSI.Driver)
			if r := v.CSI.NodePublishSecretRef; r != nil && s.in("nodePublishSecretRef").need("name", r.Name) {
				s.says("name", r.Name, subdomain(r.Name))
			}
		}},
		source{given{"ephemeral", v.Ephemeral != nil}, "", func(s spot) {
			if t := v.Ephemeral.VolumeClaimTemplate; t == nil {
				s.must("volumeClaimTemplate", "")
			} else {
				s := s.in("volumeClaimTemplate")
				s.templateMeta(&t.ObjectMeta)
				s.in("spec").claim(&t.Spec)
			}
			if name := p.Name + "-" + v.Name; p.Name != "" && v.Name != "" {
				for _, m := range subdomain(name) {
					all.bad("name", v.Name, "PVC name \""+name+"\": "+m)
				}
			}
		}},
		source{given{"image", v.Image != nil}, "", func(s spot) {
			s.need("reference", v.Image.Reference)
			s.choice("pullPolicy", string(v.Image.PullPolicy), "Always", "IfNotPresent", "Never")
		}})
	if !found {
		s.must("", "must specify a volume type")
	}
}

// templateMeta models ValidateTemplateObjectMeta: labels and annotations only.
func (s spot) templateMeta(m *metav1.ObjectMeta) {
	s = s.in("metadata")
	s.annotations("annotations", m.Annotations)
	s.labels("labels", m.Labels)
	for _, f := range []given{{"name", m.Name != ""}, {"generateName", m.GenerateName != ""}, {"namespace", m.Namespace != ""}, {"selfLink", m.SelfLink != ""}, {"uID", m.UID != ""},
		{"resourceVersion", m.ResourceVersion != ""}, {"generation", m.Generation != 0}, {"creationTimestamp", !m.CreationTimestamp.IsZero()}, {"deletionTimestamp", m.DeletionTimestamp != nil},
		{"deletionGracePeriodSeconds", m.DeletionGracePeriodSeconds != nil}, {"ownerReferences", m.OwnerReferences != nil}, {"finalizers", m.Finalizers != nil}, {"managedFields", m.ManagedFields != nil}} {
		if f.set {
			s.forbid(f.name, "cannot be set")
		}
	}
}

const longPortal = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."

func (s spot) hostPath(h *corev1.HostPathVolumeSource) {
	if s.need("path", h.Path) {
		s.noDots("path", h.Path)
		maybe(s, "type", h.Type, "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
	}
}

func (s spot) disk(name, id string, partition int32) {
	if s.need(name, id); partition < 0 || partition > 255 {
		s.bad("partition", partition, validation.InclusiveRangeError(1, 255))
	}
}

func (s spot) mode(name string, m *int32) {
	if m != nil && (*m < 0 || *m > 0o777) {
		s.bad(name, *m, "must be a number between 0 and 0777 (octal), both inclusive")
	}
}

func (s spot) files(list []corev1.KeyToPath) {
	for i := range list {
		s.item("items", i).file(&list[i])
	}
}

// file models validateKeyToPath.
func (s spot) file(k *corev1.KeyToPath) {
	s.needs("key", k.Key, "path", k.Path)
	s.local("path", k.Path)
	s.mode("mode", k.Mode)
}

// podFile models validateDownwardAPIVolumeFile.
func (s spot) podFile(f *corev1.DownwardAPIVolumeFile) {
	s.need("path", f.Path)
	s.local("path", f.Path)
	switch {
	case f.FieldRef != nil:
		s.in("fieldRef").fieldRef(f.FieldRef, "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
		if f.ResourceFieldRef != nil {
			s.bad("", "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
		}
	case f.ResourceFieldRef != nil:
		s.in("resourceFieldRef").resourceRef(f.ResourceFieldRef, true)
	default:
		s.must("", "one of fieldRef and resourceFieldRef is required")
	}
	s.mode("mode", f.Mode)
}

// projected models validateProjectedVolumeSource.
func (s spot) projected(v *corev1.ProjectedVolumeSource) {
	s.mode("defaultMode", v.DefaultMode)
	all, taken := s, map[string]bool{}
	take := func(path, name string) {
		if path != "" && taken[path] {
			all.bad("", name, "conflicting duplicate paths")
		}
		taken[path] = true
	}
	for i, p := range v.Sources {
		s, n := s.item("sources", i), 0
		keys := func(at, name string, items []corev1.KeyToPath) {
			n++
			s := s.in(at)
			s.need("name", name)
			for j := range items {
				s.item("items", j).file(&items[j])
				take(items[j].Path, name)
			}
		}
		if p.Secret != nil {
			keys("secret", p.Secret.Name, p.Secret.Items)
		}
		if p.ConfigMap != nil {
			keys("configMap", p.ConfigMap.Name, p.ConfigMap.Items)
		}
		if p.DownwardAPI != nil {
			n++
			for j := range p.DownwardAPI.Items {
				f := &p.DownwardAPI.Items[j]
				s.in("downwardAPI").podFile(f)
				take(f.Path, f.Path)
			}
		}
		if t := p.ServiceAccountToken; t != nil {
			n++
			s.in("serviceAccountToken").lifetime(*t.ExpirationSeconds)
			if all.need("path", t.Path) {
				all.local("path", t.Path)
			}
		}
		if n > 1 {
			s.forbid("", "may not specify more than 1 volume type per source")
		}
	}
}

// lifetime is what a token may live.
func (s spot) lifetime(n int64) {
	if n < 600 {
		s.bad("expirationSeconds", n, "may not specify a duration less than 10 minutes")
	}
	if n > 1<<32 {
		s.bad("expirationSeconds", n, "may not specify a duration larger than 2^32 seconds")
	}
}

func (s spot) nfs(v *corev1.NFSVolumeSource) {
	if s.needs("server", v.Server, "path", v.Path); !strings.HasPrefix(v.Path, "/") {
		s.bad("path", v.Path, "must be an absolute path")
	}
}

// iscsi models validateISCSIVolumeSource and validateISCSIPersistentVolumeSource, which
// say in other words that a name begins with nothing that is known.
func (s spot) iscsi(portal, iqn string, lun int32, initiator *string, unknown string, between func()) {
	s.need("targetPortal", portal)
	if s.need("iqn", iqn) {
		s.iscsiName("iqn", iqn, unknown)
	}
	if lun < 0 || lun > 255 {
		s.bad("lun", lun, validation.InclusiveRangeError(0, 255))
	}
	between()
	if initiator != nil {
		s.iscsiName("initiatorname", *initiator, unknown)
	}
}

func (s spot) iscsiName(name, v, unknown string) {
	kind, rest := "", ""
	if len(v) >= 3 {
		kind, rest = v[:3], v[3:]
	}
	alnum := func(n int) bool {
		return len(rest) == n+1 && !strings.ContainsFunc(rest[1:], func(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') })
	}
	ok := true
	switch kind {
	case "iqn":
		ok = iqnName(v)
	case "eui":
		ok = alnum(16)
	case "naa":
		ok = alnum(32)
	default:
		s.bad(name, v, unknown)
	}
	if !ok {
		s.bad(name, v, "must be valid format")
	}
}

// iqnName reports whether a name ends as iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$.
func iqnName(v string) bool {
	digits := func(t string) bool { return strings.Trim(t, "0123456789") == "" }
	for i := 0; i+13 < len(v); i++ {
		t := v[i:]
		if !strings.HasPrefix(t, "iqn.") || !digits(t[4:8]) || t[8] != '-' || !digits(t[9:11]) || t[11] != '.' {
			continue
		}
		for j, c := range t[12:] {
			if c == ':' && j > 0 && len(t) > 12+j+1 && !strings.ContainsAny(t[12+j+1:], ",;*&$| \t\n\f\r") {
				return true
			}
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '.') {
				break
			}
		}
	}
	return false
}

func (s spot) flocker(v *corev1.FlockerVolumeSource) {
	if v.DatasetName == "" && v.DatasetUUID == "" {
		s.must("", "one of datasetName and datasetUUID is required")
	}
	if v.DatasetName != "" && v.DatasetUUID != "" {
		s.bad("", "resource", "datasetName and datasetUUID can not be specified simultaneously")
	}
	if strings.Contains(v.DatasetName, "/") {
		s.bad("datasetName", v.DatasetName, "must not contain '/'")
	}
}

func (s spot) monitors(list []string) {
	if len(list) == 0 {
		s.must("monitors", "")
	}
}

func (s spot) rbd(monitors []string, image string) {
	s.monitors(monitors)
	s.need("image", image)
}

func (s spot) quobyte(v *corev1.QuobyteVolumeSource) {
	const pairs = "must be a host:port pair or multiple pairs separated by commas"
	switch {
	case v.Registry == "":
		s.must("registry", pairs)
	case len(v.Tenant) >= 65:
		s.must("tenant", "must be a UUID and may not exceed a length of 64 characters")
	default:
		for pair := range strings.SplitSeq(v.Registry, ",") {
			if _, _, err := net.SplitHostPort(pair); err != nil {
				s.bad("registry", v.Registry, pairs)
			}
		}
	}
	s.need("volume", v.Volume)
}

func (s spot) fc(v *corev1.FCVolumeSource) {
	switch names, ids := len(v.TargetWWNs) > 0, len(v.WWIDs) > 0; {
	case !names && !ids:
		s.must("targetWWNs", "must specify either targetWWNs or wwids, but not both")
	case names && ids:
		s.bad("targetWWNs", v.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously")
	}
	if len(v.TargetWWNs) == 0 {
		return
	}
	if v.Lun == nil {
		s.must("lun", "lun is required if targetWWNs is specified")
	} else if *v.Lun < 0 || *v.Lun > 255 {
		s.bad("lun", *v.Lun, validation.InclusiveRangeError(0, 255))
	}
}

func (s spot) flex(driver string, options map[string]string) {
	s.need("driver", driver)
	for _, k := range sortedKeys(options) {
		domain, _, _ := strings.Cut(k, "/")
		if domain = "." + strings.ToLower(domain); strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io") {
			s.key("options", k).bad("", k, "kubernetes.io and k8s.io namespaces are reserved")
		}
	}
}

func (s spot) azureDisk(v *corev1.AzureDiskVolumeSource) {
	s.needs("diskName", v.DiskName, "diskURI", v.DataDiskURI)
	maybe(s, "cachingMode", v.CachingMode, "None", "ReadOnly", "ReadWrite")
	maybe(s, "kind", v.Kind, "Dedicated", "Managed", "Shared")
	if v.Kind == nil {
		return
	}
	if managed := *v.Kind == corev1.AzureManagedDisk; managed && !strings.HasPrefix(v.DataDiskURI, "/subscriptions/") {
		s.oneOf("diskURI", v.DataDiskURI, "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}")
	} else if !managed && !strings.HasPrefix(v.DataDiskURI, "https://") {
		s.oneOf("diskURI", v.DataDiskURI, "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd")
	}
}

func (s spot) storageOS(name, namespace string) {
	if s.need("volumeName", name) {
		s.says("volumeName", name, label(name))
	}
	if namespace != "" {
		s.says("volumeNamespace", namespace, label(namespace))
	}
}

// driverName models ValidateCSIDriverName.
func (s spot) driverName(name, v string) {
	if !s.need(name, v) {
		return
	}
	if len(v) > 63 {
		s.tooLong(name, 63)
	}
	s.says(name, v, subdomain(strings.ToLower(v)))
}

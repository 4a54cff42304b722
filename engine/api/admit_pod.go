package api

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// tokenMount is where a pod finds its token, tokenVolume begins the name of
	// the volume.
	tokenMount  = "/var/run/secrets/kubernetes.io/serviceaccount"
	tokenVolume = "kube-api-access-"
	// mountable limits a ServiceAccount's pods to the Secrets that it lists.
	mountable = "kubernetes.io/enforce-mountable-secrets"
)

// serviceAccount gives a new pod its ServiceAccount and the volume with its
// token (Models plugin/pkg/admission/serviceaccount).
func serviceAccount(x *exchange, r *resource, o, _ object, operation string) error {
	if r.Plural != "pods" || x.info.sub != "" || operation != "create" {
		return nil
	}
	p := o.(*corev1.Pod)
	if _, mirror := p.Annotations[mirrorPod]; mirror {
		return mirrorAlone(p)
	}
	if p.Spec.ServiceAccountName == "" {
		p.Spec.ServiceAccountName = p.Spec.DeprecatedServiceAccount
	}
	if p.Spec.ServiceAccountName == "" {
		p.Spec.ServiceAccountName = "default"
	}
	name := p.Spec.ServiceAccountName
	p.Spec.DeprecatedServiceAccount = name
	sa, err := x.s.account(x.info.nspc, name)
	if err != nil {
		return fmt.Errorf("error looking up service account %s/%s: %w", x.info.nspc, name, apierrors.NewNotFound(schema.GroupResource{Resource: "serviceaccount"}, name))
	}
	automount := true
	if sa.AutomountServiceAccountToken != nil {
		automount = *sa.AutomountServiceAccountToken
	}
	if p.Spec.AutomountServiceAccountToken != nil {
		automount = *p.Spec.AutomountServiceAccountToken
	}
	if automount {
		mountToken(x, p)
	}
	if len(p.Spec.ImagePullSecrets) == 0 {
		p.Spec.ImagePullSecrets = slices.Clone(sa.ImagePullSecrets)
	}
	if on, _ := strconv.ParseBool(sa.Annotations[mountable]); on {
		return mountsOnly(p, sa)
	}
	return nil
}

// mirrorAlone: a static pod has no account and no secrets.
func mirrorAlone(p *corev1.Pod) error {
	if p.Spec.ServiceAccountName != "" {
		return errors.New("a mirror pod may not reference service accounts")
	}
	if len(references(p, "secrets")) > 0 {
		return errors.New("a mirror pod may not reference secrets")
	}
	for _, v := range p.Spec.Volumes {
		if v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool { return s.ServiceAccountToken != nil }) {
			return errors.New("a mirror pod may not use ServiceAccountToken volume projections")
		}
	}
	return nil
}

// mountToken adds the projected volume to a pod and to its containers.
func mountToken(x *exchange, p *corev1.Pod) {
	name, there := "", false
	for _, v := range p.Spec.Volumes {
		if strings.HasPrefix(v.Name, tokenVolume) {
			name, there = v.Name, true
			break
		}
	}
	if name == "" {
		name = tokenVolume + x.c.Chance.Suffix("names", 5)
	}
	needed := false
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			c := &list[i]
			if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == tokenMount }) {
				continue
			}
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: tokenMount})
			needed = true
		}
	}
	if there || !needed {
		return
	}
	seconds, mode := int64(warnAfter), corev1.ProjectedVolumeSourceDefaultMode
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: &mode,
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
		}}}})
}

// mountsOnly checks the Secrets of a pod against those that its account lists.
func mountsOnly(p *corev1.Pod, sa *corev1.ServiceAccount) error {
	lists := func(name string) bool {
		return slices.ContainsFunc(sa.Secrets, func(s corev1.ObjectReference) bool { return s.Name == name })
	}
	for _, v := range p.Spec.Volumes {
		if v.Secret != nil && !lists(v.Secret.SecretName) {
			return fmt.Errorf("volume with secret.secretName=\"%s\" is not allowed because service account %s does not reference that secret", v.Secret.SecretName, sa.Name)
		}
	}
	for i, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		kind := []string{"init container", "container"}[i]
		for _, c := range list {
			for _, e := range c.Env {
				if f := e.ValueFrom; f != nil && f.SecretKeyRef != nil && !lists(f.SecretKeyRef.Name) {
					return fmt.Errorf("%s %s with envVar %s referencing secret.secretName=\"%s\" is not allowed because service account %s does not reference that secret", kind, c.Name, e.Name, f.SecretKeyRef.Name, sa.Name)
				}
			}
			for _, e := range c.EnvFrom {
				if e.SecretRef != nil && !lists(e.SecretRef.Name) {
					return fmt.Errorf("%s %s with envFrom referencing secret.secretName=\"%s\" is not allowed because service account %s does not reference that secret", kind, c.Name, e.SecretRef.Name, sa.Name)
				}
			}
		}
	}
	for i, ref := range p.Spec.ImagePullSecrets {
		if !slices.ContainsFunc(sa.ImagePullSecrets, func(s corev1.LocalObjectReference) bool { return s.Name == ref.Name }) {
			return fmt.Errorf(`imagePullSecrets[%d].name="%s" is not allowed because service account %s does not reference that imagePullSecret`, i, ref.Name, sa.Name)
		}
	}
	return nil
}

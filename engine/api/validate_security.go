package api

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// What a pod and its containers may do on a machine. Models pkg/apis/core/validation.

func (s spot) user(name string, id *int64) {
	if id != nil {
		for _, m := range validation.IsValidUserID(*id) {
			s.bad(name, *id, m)
		}
	}
}

func (s spot) group(name string, id *int64) {
	if id != nil {
		for _, m := range validation.IsValidGroupID(*id) {
			s.bad(name, *id, m)
		}
	}
}

// security models validatePodSpecSecurityContext.
func (p *podLook) security(s spot) {
	c := p.Spec.SecurityContext
	if c == nil {
		return
	}
	s.group("fsGroup", c.FSGroup)
	s.user("runAsUser", c.RunAsUser)
	s.group("runAsGroup", c.RunAsGroup)
	for i := range c.SupplementalGroups {
		s.item("supplementalGroups", i).group("", &c.SupplementalGroups[i])
	}
	if share := p.Spec.ShareProcessNamespace; share != nil && *share && p.Spec.HostPID {
		s.bad("shareProcessNamespace", true, "ShareProcessNamespace and HostPID cannot both be enabled")
	}
	p.sysctls(s, c.Sysctls)
	maybe(s, "fsGroupChangePolicy", c.FSGroupChangePolicy, "Always", "OnRootMismatch")
	s.seccomp(c.SeccompProfile)
	s.windowsOptions(c.WindowsOptions)
	s.appArmor(c.AppArmorProfile)
	maybe(s, "supplementalGroupsPolicy", c.SupplementalGroupsPolicy, "Merge", "Strict")
	maybe(s, "seLinuxChangePolicy", c.SELinuxChangePolicy, "Recursive")
}

// sysctls models validateSysctls.
func (p *podLook) sysctls(s spot, list []corev1.Sysctl) {
	for i, c := range list {
		s := s.item("sysctls", i)
		switch {
		case !s.need("name", c.Name):
		case !sysctlName(c.Name):
			s.bad("name", c.Name, "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$")
		case slices.ContainsFunc(list[:i], func(o corev1.Sysctl) bool { return o.Name == c.Name }):
			s.twice("name", c.Name)
		}
		// Of dots and slashes the first in a name is what divides it.
		name := c.Name
		if i := strings.IndexAny(name, "./"); i > 0 && name[i] == '/' {
			name = strings.NewReplacer("/", ".", ".", "/").Replace(name)
		}
		switch name, _, _ := strings.Cut(name, "*"); {
		case p.Spec.HostNetwork && strings.HasPrefix(name, "net."):
			s.bad("name", c.Name, "may not be specified when 'hostNetwork' is true")
		case p.Spec.HostIPC && (strings.HasPrefix(name, "fs.mqueue.") || slices.Contains(strings.Fields(ipcSysctls), name)):
			s.bad("name", c.Name, "may not be specified when 'hostIPC' is true")
		}
	}
}

// ipcSysctls are those of the namespace for IPC (Models component-helpers/node/util/sysctl).
const ipcSysctls = "kernel.sem kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced kernel.shm kernel.msgmax kernel.msgmnb kernel.msgmni kernel.msg"

// sysctlName: parts of letters, digits, - and _, that begin and end with a letter or a digit.
func sysctlName(name string) bool {
	last := byte('.')
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			last = 'a'
		case (c == '-' || c == '_') && last != '.':
			last = '-'
		case (c == '.' || c == '/') && last == 'a':
			last = '.'
		default:
			return false
		}
	}
	return last == 'a' && len(name) <= 253
}

// seccomp models validateSeccompProfileField.
func (s spot) seccomp(p *corev1.SeccompProfile) {
	if p == nil {
		return
	}
	s = s.in("seccompProfile")
	if p.Type == "" {
		s.must("type", "type is required when seccompProfile is set")
	} else {
		s.oneOf("type", string(p.Type), "Localhost", "RuntimeDefault", "Unconfined")
	}
	switch {
	case p.Type != corev1.SeccompProfileTypeLocalhost && p.LocalhostProfile != nil:
		s.bad("localhostProfile", internal{p}, "can only be set when seccomp type is Localhost")
	case p.Type != corev1.SeccompProfileTypeLocalhost:
	case p.LocalhostProfile == nil:
		s.must("localhostProfile", "must be set when seccomp type is Localhost")
	default:
		s.relative("localhostProfile", *p.LocalhostProfile)
	}
}

// appArmor models ValidateAppArmorProfileField.
func (s spot) appArmor(p *corev1.AppArmorProfile) {
	if p == nil {
		return
	}
	s = s.in("appArmorProfile")
	switch p.Type {
	case corev1.AppArmorProfileTypeLocalhost:
		const most, needed = 4095, "must be set when AppArmor type is Localhost"
		if p.LocalhostProfile == nil {
			s.must("localhostProfile", needed)
			return
		}
		name := *p.LocalhostProfile
		if strings.TrimSpace(name) != name {
			s.bad("localhostProfile", name, "must not be padded with whitespace")
		} else if name == "" {
			s.must("localhostProfile", needed)
		}
		if len(name) > most {
			s.tooLong("localhostProfile", most)
		}
	case "":
		s.must("type", "type is required when appArmorProfile is set")
	case corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined:
		if p.LocalhostProfile != nil {
			s.bad("localhostProfile", p.LocalhostProfile, "can only be set when AppArmor type is Localhost")
		}
	default:
		s.oneOf("type", string(p.Type), "Localhost", "RuntimeDefault", "Unconfined")
	}
}

// container models ValidateSecurityContext.
func (p *podLook) container(s spot, c *corev1.SecurityContext) {
	if c == nil {
		return
	}
	s = s.in("securityContext")
	is := func(b *bool) bool { return b != nil && *b }
	if is(c.Privileged) && !p.privileged {
		s.forbid("privileged", "disallowed by cluster policy")
	}
	s.user("runAsUser", c.RunAsUser)
	s.group("runAsGroup", c.RunAsGroup)
	if m := c.ProcMount; m != nil {
		s.oneOf("procMount", string(*m), "Default", "Unmasked")
		if *m == corev1.UnmaskedProcMount && (p.Spec.HostUsers == nil || *p.Spec.HostUsers) {
			s.bad("procMount", word(*m), "`hostUsers` must be false to use `Unmasked`")
		}
	}
	s.seccomp(c.SeccompProfile)
	if c.AllowPrivilegeEscalation != nil && !*c.AllowPrivilegeEscalation {
		if is(c.Privileged) {
			s.bad("", internal{c}, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
		}
		if c.Capabilities != nil {
			for _, n := range c.Capabilities.Add {
				if n == "CAP_SYS_ADMIN" {
					s.bad("", internal{c}, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
				}
			}
		}
	}
	s.windowsOptions(c.WindowsOptions)
	s.appArmor(c.AppArmorProfile)
}

// hostUsers models validateHostUsers.
func (p *podLook) hostUsers(s spot) {
	const words = "when `hostUsers` is false"
	if p.Spec.HostUsers == nil || *p.Spec.HostUsers {
		return
	}
	for _, f := range []struct {
		name string
		on   bool
	}{{"hostNetwork", p.Spec.HostNetwork}, {"HostPID", p.Spec.HostPID}, {"HostIPC", p.Spec.HostIPC}} {
		if f.on {
			s.forbid(f.name, words)
		}
	}
	containers(&p.Spec, func(list string, i int, c *corev1.Container) {
		if len(c.VolumeDevices) > 0 {
			s.item(list, i).forbid("volumeDevices", words)
		}
	})
}

// linux and windows are what a pod of the other system may not have (Models
// validateLinux and validateWindows).
func (p *podLook) linux(s spot) {
	const words = "windows options cannot be set for a linux pod"
	if c := p.Spec.SecurityContext; c != nil && c.WindowsOptions != nil {
		s.in("securityContext").forbid("windowsOptions", words)
	}
	containers(&p.Spec, func(list string, i int, c *corev1.Container) {
		if c.SecurityContext != nil && c.SecurityContext.WindowsOptions != nil {
			s.item(list, i).in("securityContext").forbid("windowsOptions", words)
		}
	})
}

type given struct {
	name string
	set  bool
}

func (s spot) notOnWindows(list ...given) {
	for _, f := range list {
		if f.set {
			s.forbid(f.name, "cannot be set for a windows pod")
		}
	}
}

func (p *podLook) windows(s spot) {
	if c, spec := p.Spec.SecurityContext, &p.Spec; c != nil {
		at := s.in("securityContext")
		at.notOnWindows(given{"appArmorProfile", c.AppArmorProfile != nil}, given{"seLinuxOptions", c.SELinuxOptions != nil})
		s.notOnWindows(given{"hostUsers", spec.HostUsers != nil}, given{"hostPID", spec.HostPID}, given{"hostIPC", spec.HostIPC})
		at.notOnWindows(given{"seccompProfile", c.SeccompProfile != nil}, given{"fsGroup", c.FSGroup != nil},
			given{"fsGroupChangePolicy", c.FSGroupChangePolicy != nil}, given{"sysctls", len(c.Sysctls) > 0})
		s.notOnWindows(given{"shareProcessNamespace", spec.ShareProcessNamespace != nil})
		at.notOnWindows(given{"runAsUser", c.RunAsUser != nil}, given{"runAsGroup", c.RunAsGroup != nil}, given{"supplementalGroups", c.SupplementalGroups != nil},
			given{"supplementalGroupsPolicy", c.SupplementalGroupsPolicy != nil}, given{"seLinuxChangePolicy", c.SELinuxChangePolicy != nil})
	}
	containers(&p.Spec, func(list string, i int, ctr *corev1.Container) {
		if c := ctr.SecurityContext; c != nil {
			s.item(list, i).in("securityContext").notOnWindows(given{"appArmorProfile", c.AppArmorProfile != nil}, given{"seLinuxOptions", c.SELinuxOptions != nil},
				given{"seccompProfile", c.SeccompProfile != nil}, given{"capabilities", c.Capabilities != nil}, given{"readOnlyRootFilesystem", c.ReadOnlyRootFilesystem != nil},
				given{"privileged", c.Privileged != nil}, given{"allowPrivilegeEscalation", c.AllowPrivilegeEscalation != nil}, given{"procMount", c.ProcMount != nil},
				given{"runAsUser", c.RunAsUser != nil}, given{"runAsGroup", c.RunAsGroup != nil})
		}
	})
}

// windowsOptions models validateWindowsSecurityContextOptions.
func (s spot) windowsOptions(o *corev1.WindowsSecurityContextOptions) {
	if o == nil {
		return
	}
	s = s.in("windowsOptions")
	if n := o.GMSACredentialSpecName; n != nil {
		s.says("gmsaCredentialSpecName", *n, subdomain(*n))
	}
	if n := o.GMSACredentialSpec; n != nil {
		if *n == "" {
			s.bad("gmsaCredentialSpec", n, "gmsaCredentialSpec cannot be an empty string")
		} else if len(*n) > 64<<10 {
			s.bad("gmsaCredentialSpec", n, "gmsaCredentialSpec size must be under 64 KiB")
		}
	}
	if o.RunAsUserName == nil {
		return
	}
	name := *o.RunAsUserName
	say := func(yes bool, words string) bool {
		if yes {
			s.bad("runAsUserName", word(name), "runAsUserName"+words)
		}
		return yes
	}
	if say(name == "", " cannot be an empty string") || say(strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }), " cannot contain control characters") ||
		say(strings.Count(name, `\`) > 1, " cannot contain more than one backslash") {
		return
	}
	domain, user, two := strings.Cut(name, `\`)
	if !two {
		domain, user = "", name
	}
	say(len(domain) >= 256, "'s Domain length must be under 256 characters")
	netBIOS := domain != "" && domain[0] != '.' && !strings.ContainsAny(domain, `\/:*?"<>|`) && len([]rune(domain)) <= 15
	dns := !slices.ContainsFunc(strings.Split(domain, "."), func(l string) bool { return len(label(strings.ToLower(l))) > 0 })
	say(two && !netBIOS && !dns, "'s Domain doesn't match the NetBios nor the DNS format")
	if !say(user == "", "'s User cannot be empty") {
		say(len(user) > 104, "'s User length must not be longer than 104 characters")
	}
	say(user != "" && strings.Trim(user, ". ") == "", "'s User cannot contain only periods or spaces")
	say(strings.ContainsAny(user, `"/\:;|=,+*?<>@[]`), `'s User cannot contain the following characters: "/\:;|=,+*?<>@[]`)
}

// hostProcess models validateWindowsHostProcessPod.
func (p *podLook) hostProcess(s spot) {
	var whole *bool
	if c := p.Spec.SecurityContext; c != nil && c.WindowsOptions != nil {
		whole = c.WindowsOptions.HostProcess
	}
	all, on := 0, 0
	containers(&p.Spec, func(list string, i int, c *corev1.Container) {
		all++
		own := whole
		if c.SecurityContext != nil && c.SecurityContext.WindowsOptions != nil && c.SecurityContext.WindowsOptions.HostProcess != nil {
			if own = c.SecurityContext.WindowsOptions.HostProcess; whole != nil && *whole != *own {
				s.item(list, i).in("securityContext").in("windowsOptions").bad("hostProcess", *own, fmt.Sprintf("pod hostProcess value must be identical if both are specified, was %v", *whole))
			}
		}
		if own != nil && *own {
			on++
		}
	})
	if on == 0 {
		return
	}
	if on != all {
		s.bad("", "", "If pod contains any hostProcess containers then all containers must be HostProcess containers")
	}
	if !p.Spec.HostNetwork {
		s.bad("hostNetwork", false, "hostNetwork must be true if pod contains any hostProcess containers")
	}
	if !p.privileged {
		s.forbid("", "hostProcess containers are disallowed by cluster policy")
	}
}

package api

import (
	"slices"
	"sort"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Would says what binding would have allowed a refused request: one of Roles
// (ClusterRoles that Kubernetes itself created, the least powerful first) given
// to User or to one of Groups. It is the "would" of a trace.Authz.
type Would struct {
	Roles  []string `json:"roles"`
	User   string   `json:"user"`
	Groups []string `json:"groups"`
}

// would is nil when no default role allows the request.
func (s *Server) would(a *attributes) *Would {
	roles := s.sufficient(a)
	if len(roles) == 0 {
		return nil
	}
	return &Would{Roles: roles, User: a.user.Name, Groups: a.user.Groups}
}

// candidate is a ClusterRole that Kubernetes created, and what it weighs.
type candidate struct {
	name  string
	power int
	rules []rbacv1.PolicyRule
	// named: some of its rules are about objects of a name.
	named bool
}

// sufficient are the default ClusterRoles that allow a request, the least
// powerful first. What allows the nameless request is remembered: a thousand
// nodes are refused the same.
func (s *Server) sufficient(a *attributes) []string {
	p := s.policy()
	if p.defaults == nil {
		p.defaults, p.would = s.defaultRoles(), map[string][]string{}
	}
	key := strings.Join([]string{a.verb, a.group, a.full(), a.path}, "\x00")
	roles, ok := p.would[key]
	if !ok {
		nameless := *a
		nameless.name = ""
		for _, c := range p.defaults {
			if c.allows(&nameless) {
				roles = append(roles, c.name)
			}
		}
		if len(p.would) >= mostRemembered {
			clear(p.would)
		}
		p.would[key] = roles
	}
	if a.name == "" || !slices.ContainsFunc(p.defaults, func(c candidate) bool { return c.named && c.allows(a) && !slices.Contains(roles, c.name) }) {
		return roles
	}
	roles = nil
	for _, c := range p.defaults {
		if c.allows(a) {
			roles = append(roles, c.name)
		}
	}
	return roles
}

func (c candidate) allows(a *attributes) bool {
	return slices.ContainsFunc(c.rules, func(p rbacv1.PolicyRule) bool { return covers(&p, a) })
}

// defaultRoles are the ClusterRoles that Kubernetes created, as they are now,
// the least powerful first.
func (s *Server) defaultRoles() []candidate {
	out := []candidate{}
	for _, r := range s.rbac.Roles {
		if r.Namespace != "" {
			continue
		}
		if o := s.store.Get("clusterroles", "", r.Name); o != nil {
			rules := o.typed.(*rbacv1.ClusterRole).Rules
			named := slices.ContainsFunc(rules, func(p rbacv1.PolicyRule) bool { return len(p.ResourceNames) > 0 })
			out = append(out, candidate{r.Name, power(rules), rules, named})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].power < out[j].power })
	return out
}

// power counts what rules allow; a star weighs as much as a hundred words.
func power(rules []rbacv1.PolicyRule) int {
	weigh := func(list []string) int {
		n := 0
		for _, x := range list {
			if n++; strings.Contains(x, "*") {
				n += 99
			}
		}
		return n
	}
	n := 0
	for _, r := range rules {
		n += weigh(r.Verbs) * max(1, weigh(r.APIGroups)) * (weigh(r.Resources) + weigh(r.NonResourceURLs))
	}
	return n
}

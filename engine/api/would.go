package api

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/joinery-lab/joinery/engine/era"
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

// sufficient are the default ClusterRoles that allow a request, the least
// powerful first.
func (s *Server) sufficient(a *attributes) []string {
	p := s.policy()
	key := strings.Join([]string{a.verb, a.group, a.full(), a.name, a.path}, "\x00")
	if roles, ok := p.would[key]; ok {
		return roles
	}
	type candidate struct {
		name  string
		power int
	}
	var found []candidate
	for _, r := range era.DefaultRBAC.In(s.era).Roles {
		o := s.store.Get("clusterroles", "", r.Name)
		if r.Namespace != "" || o == nil {
			continue
		}
		role := o.typed.(*rbacv1.ClusterRole)
		if slices.ContainsFunc(role.Rules, func(p rbacv1.PolicyRule) bool { return covers(&p, a) }) {
			found = append(found, candidate{r.Name, power(role.Rules)})
		}
	}
	slices.SortStableFunc(found, func(x, y candidate) int { return x.power - y.power })
	var out []string
	for _, c := range found {
		out = append(out, c.name)
	}
	if p.would == nil || len(p.would) >= mostRemembered {
		p.would = map[string][]string{}
	}
	p.would[key] = out
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

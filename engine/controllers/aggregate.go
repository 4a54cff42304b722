package controllers

import (
	"encoding/json"
	"net/http"
	"sort"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// aggregation is the controller that writes into a ClusterRole with an
// aggregationRule the rules of those that it selects. Models
// k8s.io/kubernetes/pkg/controller/clusterroleaggregation.
const aggregation = "clusterrole-aggregation-controller"

const rbacGroup = "rbac.authorization.k8s.io"

// roles is where the API has ClusterRoles.
func (m *ControllerManager) roles() string { return era.Path(m.era(), rbacGroup, "clusterroles") }

// role is what is kept of a ClusterRole. Its rules are read when they are
// gathered: most never are.
type role struct {
	metav1.ObjectMeta `json:"metadata"`
	Rule              *rbacv1.AggregationRule `json:"aggregationRule,omitempty"`
	Rules             json.RawMessage         `json:"rules,omitempty"`
}

func (m *ControllerManager) startAggregation(c *sim.Ctx) {
	m.loop(&loop{Name: "ClusterRoleAggregator", Kind: kindAggregation, Controller: aggregation}, m.addClient(aggregation))
	m.say(c, &era.LineAggregatorStart, aggregation)
	m.addFeed(c, "clusterroles", m.roles())
}

func (m *ControllerManager) roleChanged(c *sim.Ctx, object json.RawMessage) string {
	r := new(role)
	if json.Unmarshal(object, r) != nil {
		return ""
	}
	// A watch that begins anew shows all of them; what is as it was changes nothing.
	if old := m.Roles[r.Name]; old != nil && old.UID == r.UID && old.ResourceVersion == r.ResourceVersion {
		return r.Name
	}
	slim(&r.ObjectMeta)
	m.Roles[r.Name] = r
	m.gatherAgain(c)
	return r.Name
}

func (m *ControllerManager) roleGone(c *sim.Ctx, name string) {
	delete(m.Roles, name)
	m.gatherAgain(c)
}

// gatherAgain enqueues every role that gathers: nobody knows which depends on
// which.
func (m *ControllerManager) gatherAgain(c *sim.Ctx) {
	var names []string
	for name, r := range m.Roles {
		if r.Rule != nil {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		m.each(c, kindAggregation, name)
	}
}

// gather is the union of what a role selects, each rule once, in the order of
// its selectors and then of the roles' names.
func (m *ControllerManager) gather(r *role) ([]rbacv1.PolicyRule, error) {
	out := []rbacv1.PolicyRule{}
	for i := range r.Rule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&r.Rule.ClusterRoleSelectors[i])
		if err != nil {
			return nil, err
		}
		var names []string
		for name, o := range m.Roles {
			if name != r.Name && selector.Matches(labels.Set(o.Labels)) {
				names = append(names, name)
			}
		}
		sort.Strings(names)
		for _, name := range names {
			for _, p := range m.Roles[name].policy() {
				if !holds(out, &p) {
					out = append(out, p)
				}
			}
		}
	}
	return out, nil
}

// policy are the rules of a role; the API server has checked them.
func (r *role) policy() (out []rbacv1.PolicyRule) {
	if len(r.Rules) > 0 {
		json.Unmarshal(r.Rules, &out)
	}
	return out
}

func holds(list []rbacv1.PolicyRule, p *rbacv1.PolicyRule) bool {
	for i := range list {
		if equality.Semantic.DeepEqual(&list[i], p) {
			return true
		}
	}
	return false
}

// aggregate looks whether a role has what it gathers, and applies it if not.
func (m *ControllerManager) aggregate(c *sim.Ctx, l *loop) {
	r := m.Roles[l.Busy]
	if r == nil || r.Rule == nil {
		m.finish(c, l, nil)
		return
	}
	rules, err := m.gather(r)
	switch {
	case err != nil:
		m.finish(c, l, &failure{text: err.Error()})
	case equality.Semantic.DeepEqual(rules, r.policy()):
		m.finish(c, l, nil)
	case !era.AggregationApplies.In(m.era()):
		m.putRules(c, l, r, rules)
	default:
		m.ask(c, l, "PATCH", m.roles()+"/"+r.Name+"?fieldManager="+aggregation+"&force=true",
			rbacv1.ClusterRole{TypeMeta: metav1.TypeMeta{Kind: "ClusterRole", APIVersion: era.Preferred(m.era(), rbacGroup, "clusterroles")}, ObjectMeta: metav1.ObjectMeta{Name: r.Name}, Rules: rules})
	}
}

func (m *ControllerManager) putRules(c *sim.Ctx, l *loop, r *role, rules []rbacv1.PolicyRule) {
	m.ask(c, l, "PUT", m.roles()+"/"+r.Name, &rbacv1.ClusterRole{TypeMeta: metav1.TypeMeta{Kind: "ClusterRole", APIVersion: era.Preferred(m.era(), rbacGroup, "clusterroles")},
		ObjectMeta: r.ObjectMeta, AggregationRule: r.Rule, Rules: rules})
}

// aggregated: a server that takes no apply patch is sent an update instead.
func (m *ControllerManager) aggregated(c *sim.Ctx, l *loop, a answer) {
	r := m.Roles[l.Busy]
	switch {
	case a.ok():
		decide(c, "clusterrole/"+l.Busy, l.Controller, "aggregated", "", "")
		m.finish(c, l, nil)
	case a.Method == "PATCH" && a.code == http.StatusUnsupportedMediaType && r != nil && r.Rule != nil:
		rules, err := m.gather(r)
		if err != nil {
			m.finish(c, l, &failure{text: err.Error()})
			return
		}
		m.putRules(c, l, r, rules)
	default:
		m.finish(c, l, &failure{text: a.err()})
	}
}

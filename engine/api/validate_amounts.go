package api

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	amount "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// amounts models validateResourceRequirements.
func (s spot) amounts(r *corev1.ResourceRequirements, check func(s spot, name string)) {
	huge, plain := false, false
	each := func(list string, of corev1.ResourceList, more func(name string, q amount.Quantity)) {
		for _, n := range sortedResources(of) {
			name, q := string(n), of[n]
			s := s.key(list, name)
			check(s, name)
			s.quantity(name, q)
			more(name, q)
			if hugePages(name) {
				huge = true
				page, err := amount.ParseQuantity(strings.TrimPrefix(name, corev1.ResourceHugePagesPrefix))
				if err != nil || page.Sign() <= 0 || page.MilliValue()%1000 != 0 || q.Value()%page.Value() != 0 {
					s.bad("", q.String(), q.String()+" is not positive integer multiple of "+name)
				}
			}
			plain = plain || name == "cpu" || name == "memory"
		}
	}
	each("limits", r.Limits, func(string, amount.Quantity) {})
	each("requests", r.Requests, func(name string, q amount.Quantity) {
		limit, ok := r.Limits[corev1.ResourceName(name)]
		over := native(name) && !hugePages(name)
		switch {
		case !ok && !over:
			s.must("limits", "Limit must be set for non overcommitable resources")
		case ok && !over && q.Cmp(limit) != 0:
			s.bad("requests", q.String(), "must be equal to "+name+" limit of "+limit.String())
		case ok && q.Cmp(limit) > 0:
			s.bad("requests", q.String(), "must be less than or equal to "+name+" limit of "+limit.String())
		}
	})
	if huge && !plain {
		s.forbid("", "HugePages require cpu or memory")
	}
}

// claimNames models validateResourceClaimNames.
func (s spot) claimNames(list []corev1.ResourceClaim, known []string) {
	var names []string
	for i, c := range list {
		s := s.item("claims", i)
		if !s.need("", c.Name) {
			continue
		}
		if slices.Contains(names, c.Name) {
			s.twice("", c.Name)
		} else {
			key := c.Name
			if c.Request != "" {
				s.says("request", c.Request, label(c.Request))
				key += "/" + c.Request
			}
			if slices.Contains(names, key) {
				s.twice("", key)
			} else if c.Request == "" {
				for _, n := range names {
					if strings.HasPrefix(n, c.Name+"/") {
						s.twice("", c.Name)
					}
				}
			}
			names = append(names, key)
		}
		if !slices.Contains(known, c.Name) {
			e := field.NotFound(s.at, c.Name)
			e.Detail = "must be one of the names in pod.spec.resourceClaims which is empty"
			if len(known) > 0 {
				all := slices.Clone(known)
				slices.Sort(all)
				e.Detail = "must be one of the names in pod.spec.resourceClaims: " + strings.Join(slices.Compact(all), ", ")
			}
			s.add(e)
		}
	}
}

// quantity models ValidateResourceQuantityValue.
func (s spot) quantity(name string, q amount.Quantity) {
	if q.Sign() < 0 {
		s.bad("", q.String(), negative)
	}
	if (slices.Contains(counted, name) || extendedName(name)) && q.MilliValue()%1000 != 0 {
		s.bad("", q, "must be an integer")
	}
}

// counted are things, of which there are no parts; amountsOf are the other resources
// that Kubernetes knows (Models pkg/apis/core/helper).
var counted = strings.Fields("pods resourcequotas services replicationcontrollers secrets configmaps persistentvolumeclaims services.nodeports services.loadbalancers")

var amountsOf = strings.Fields("cpu memory ephemeral-storage requests.cpu requests.memory requests.ephemeral-storage limits.cpu limits.memory limits.ephemeral-storage storage requests.storage")

func hugePages(name string) bool   { return strings.HasPrefix(name, corev1.ResourceHugePagesPrefix) }
func podResource(name string) bool { return name == "cpu" || name == "memory" || hugePages(name) }

func native(name string) bool {
	return !strings.Contains(name, "/") || strings.Contains(name, "kubernetes.io/")
}

func extendedName(name string) bool {
	return !native(name) && !strings.HasPrefix(name, "requests.") && len(qualified("requests."+name)) == 0
}

// resourceName and containerResource model validateResourceName and
// validateContainerResourceName.
func (s spot) resourceName(name string) {
	if msgs := qualified(name); len(msgs) > 0 {
		for _, m := range msgs {
			s.bad("", word(name), m)
		}
	} else if !strings.Contains(name, "/") && !hugePages(strings.TrimPrefix(name, "requests.")) && !slices.Contains(counted, name) && !slices.Contains(amountsOf, name) {
		s.bad("", word(name), "must be a standard resource type or fully qualified")
	}
}

func containerResource(s spot, name string) {
	s.resourceName(name)
	if !strings.Contains(name, "/") {
		if !podResource(name) && name != "ephemeral-storage" {
			s.bad("", word(name), "must be a standard resource for containers")
		}
	} else if !native(name) && !extendedName(name) {
		s.bad("", word(name), "doesn't follow extended resource name standard")
	}
}

func sortedResources(list corev1.ResourceList) []corev1.ResourceName {
	names := make([]corev1.ResourceName, 0, len(list))
	for n := range list {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

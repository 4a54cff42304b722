package api

import (
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// fieldSelector is a parsed ?fieldSelector=.
type fieldSelector struct{ fields.Selector }

func parseFields(text string) (fieldSelector, error) {
	if text == "" {
		return fieldSelector{fields.Everything()}, nil
	}
	sel, err := fields.ParseSelector(text)
	return fieldSelector{sel}, err
}

// exact is the value that the selector asks of a field, or "".
func (f fieldSelector) exact(field string) string {
	v, _ := f.RequiresExactMatch(field)
	return v
}

// name is the one name that the selector asks for, or "".
func (f fieldSelector) name() string { return f.exact("metadata.name") }

// selection is what a list or a watch wants to see.
type selection struct {
	resource  *resource
	namespace string
	fields    fieldSelector
	labels    labels.Selector
}

// matches reports whether an object is selected.
func (s *selection) matches(o *Object) bool {
	if s.namespace != "" && o.Namespace != s.namespace {
		return false
	}
	if !s.labels.Empty() && !s.labels.Matches(labels.Set(meta(o.typed).Labels)) {
		return false
	}
	return s.fields.Empty() || s.fields.Matches(selectable{s.resource, o})
}

// selectable is an object as a fieldSelector sees it.
type selectable struct {
	resource *resource
	o        *Object
}

var _ fields.Fields = selectable{}

// Has reports whether the field can be asked for.
func (s selectable) Has(field string) bool {
	return field == "metadata.name" || field == "metadata.namespace" && s.resource.Namespaced || s.resource.fields[field] != nil
}

// Get returns the field's value.
func (s selectable) Get(field string) string {
	switch {
	case field == "metadata.name":
		return s.o.Name
	case field == "metadata.namespace" && s.resource.Namespaced:
		return s.o.Namespace
	case s.resource.fields[field] != nil:
		return s.resource.fields[field](s.o.typed)
	}
	return ""
}

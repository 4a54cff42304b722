package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// table is how a resource is printed as meta.k8s.io/v1 Table (Models
// pkg/printers/internalversion/printers.go).
type table struct {
	columns []metav1.TableColumnDefinition
	cells   func(t moment, o object) []any
}

// moment is the time that ages are counted from; they are short in old releases.
type moment struct {
	at    time.Time
	short bool
}

// age is the time since t, as kubectl prints it.
func (m moment) age(t metav1.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	if m.short {
		return duration.ShortHumanDuration(m.at.Sub(t.Time))
	}
	return duration.HumanDuration(m.at.Sub(t.Time))
}

// docs of metadata that columns borrow.
var metaDocs = metav1.ObjectMeta{}.SwaggerDoc()

func nameColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: metaDocs["name"]}
}

func ageColumn() metav1.TableColumnDefinition { return column("Age", metaDocs["creationTimestamp"]) }

func column(name, doc string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string", Description: doc}
}

// wide is a column that -o wide shows.
func wide(name, doc string) metav1.TableColumnDefinition {
	c := column(name, doc)
	c.Priority = 1
	return c
}

// tableOf prints one object (by its name) or a list as the request wants it.
func (x *exchange) tableOf(r *resource, list []*Object, version, name string) ([]byte, error) {
	t := metav1.Table{ListMeta: metav1.ListMeta{ResourceVersion: version}}
	if r.linked {
		t.SelfLink = linkTo(r, x.wanted(r), x.info.nspc, name)
	}
	return x.s.tableJSON(x.c, r, list, t, x.form.version, x.query.Get("includeObject"), true)
}

// tableJSON prints objects. include is ?includeObject: None, Object, or
// metadata only. Without headed the columns are null, as in a watch after its
// first event.
func (s *Server) tableJSON(c *sim.Ctx, r *resource, list []*Object, t metav1.Table, version, include string, headed bool) ([]byte, error) {
	t.TypeMeta = metav1.TypeMeta{Kind: "Table", APIVersion: "meta.k8s.io/" + version}
	t.Rows = []metav1.TableRow{}
	printed := s.tableFor(r)
	if printed == &bare {
		t.ListMeta = metav1.ListMeta{}
	}
	if headed {
		t.ColumnDefinitions = s.described(printed.columns)
	}
	for _, o := range list {
		if err := s.unprintable(o.typed); err != nil {
			return nil, err
		}
		row := metav1.TableRow{Cells: printed.cells(moment{c.Clock(), era.ShortAges.In(s.era)}, o.typed)}
		switch include {
		case "None":
		case "Object":
			row.Object = runtime.RawExtension{Raw: json.RawMessage(o.JSON)}
		default:
			row.Object = runtime.RawExtension{Raw: encode(partial(r, o, version))}
		}
		t.Rows = append(t.Rows, row)
	}
	return encode(t), nil
}

// bare is the table of releases that print nothing but names (Models
// apiserver/pkg/registry/rest/table.go).
var bare = table{[]metav1.TableColumnDefinition{nameColumn(), {Name: "Created At", Type: "date", Description: metaDocs["creationTimestamp"]}},
	func(_ moment, o object) []any {
		return []any{meta(o).Name, meta(o).CreationTimestamp.UTC().Format(time.RFC3339)}
	}}

// tableFor is the table of a row in this release: without the columns of fields
// that it does not know.
func (s *Server) tableFor(r *resource) *table {
	if !era.TableColumns.In(s.era) {
		return &bare
	}
	if r.table != &csrTable || len(r.unknown) == 0 {
		return r.table
	}
	drop := map[string]bool{"SignerName": !s.knows(r.Plural, "spec.signerName"), "RequestedDuration": !s.knows(r.Plural, "spec.expirationSeconds")}
	out := table{cells: func(m moment, o object) (kept []any) {
		for i, c := range r.table.cells(m, o) {
			if !drop[r.table.columns[i].Name] {
				kept = append(kept, c)
			}
		}
		return kept
	}}
	for _, c := range r.table.columns {
		if !drop[c.Name] {
			out.columns = append(out.columns, c)
		}
	}
	return &out
}

// unprintable tells why a release can't print an object: until 1.18 one condition
// that it does not know is enough (Models
// pkg/printers/internalversion/printers.go extractCSRStatus).
func (s *Server) unprintable(o object) error {
	n, ok := o.(*certificatesv1.CertificateSigningRequest)
	if !ok || era.CSRChecksStatus.In(s.era) || !era.TableColumns.In(s.era) {
		return nil
	}
	for _, c := range n.Status.Conditions {
		if c.Type != certificatesv1.CertificateApproved && c.Type != certificatesv1.CertificateDenied {
			return fmt.Errorf(`unknown csr condition {%q %q %q %q}`, c.Type, c.Reason, c.Message, c.LastUpdateTime.UTC().String())
		}
	}
	return nil
}

// described are columns with the descriptions that a release has for them.
func (s *Server) described(list []metav1.TableColumnDefinition) []metav1.TableColumnDefinition {
	links := era.DocLinks.In(s.era)
	if len(links) == 0 {
		return list
	}
	list = slices.Clone(list)
	for i := range list {
		for _, l := range links {
			list[i].Description = strings.Replace(list[i].Description, l[0], l[1], 1)
		}
		if list[i].Format == "name" && !era.NameFormat.In(s.era) {
			list[i].Format = ""
		}
	}
	return list
}

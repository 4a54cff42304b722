package api

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/joinery-lab/joinery/engine/sim"
)

// table is how a resource is printed as meta.k8s.io/v1 Table (Models
// pkg/printers/internalversion/printers.go).
type table struct {
	columns []metav1.TableColumnDefinition
	cells   func(t moment, o object) []any
}

// moment is the time that ages are counted from.
type moment time.Time

// age is the time since t, as kubectl prints it.
func (m moment) age(t metav1.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Time(m).Sub(t.Time))
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

func (x *exchange) tableOf(r *resource, list []*Object, version string, headed bool) []byte {
	return tableJSON(x.c, r, list, version, x.query.Get("includeObject"), headed)
}

// tableJSON prints objects. include is ?includeObject: None, Object, or
// metadata only. Without headed the columns are null, as in a watch after its
// first event.
func tableJSON(c *sim.Ctx, r *resource, list []*Object, version, include string, headed bool) []byte {
	t := metav1.Table{TypeMeta: metav1.TypeMeta{Kind: "Table", APIVersion: "meta.k8s.io/v1"}, ListMeta: metav1.ListMeta{ResourceVersion: version}, Rows: []metav1.TableRow{}}
	if headed {
		t.ColumnDefinitions = r.table.columns
	}
	for _, o := range list {
		row := metav1.TableRow{Cells: r.table.cells(moment(c.Clock()), o.typed)}
		switch include {
		case "None":
		case "Object":
			row.Object = runtime.RawExtension{Raw: json.RawMessage(o.JSON)}
		default:
			row.Object = runtime.RawExtension{Raw: encode(partial(o))}
		}
		t.Rows = append(t.Rows, row)
	}
	return encode(t)
}

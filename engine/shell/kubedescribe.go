package shell

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
)

// describers print single kinds as kubectl does; other kinds are printed as
// their fields.
var describers = map[string]func(k *kube, p *sheet, o object) error{
	"CertificateSigningRequest": describeCSR,
	"Secret":                    describeSecret,
	"ClusterRoleBinding":        describeBinding,
	"RoleBinding":               describeBinding,
	"ClusterRole":               describeRole,
	"Role":                      describeRole,
	"Node":                      describeNode,
}

// sheet is what describe prints: cells between tabs, aligned as kubectl aligns
// them (a column ends where a line lacks it).
type sheet struct{ strings.Builder }

func (p *sheet) printf(format string, a ...any) { fmt.Fprintf(p, format, a...) }

func (p *sheet) text() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	fmt.Fprint(w, p.String())
	w.Flush()
	return out.String()
}

func describe(k *kube, f *kubectlFlags, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("error: You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.")
	}
	want, err := k.targets(args)
	if err != nil {
		return err
	}
	n := 0
	var failed []error
	for _, w := range want {
		objects, errs := k.collect(f, w)
		failed = append(failed, errs...)
		for _, o := range objects {
			if n++; n > 1 {
				k.printf("\n\n")
			}
			p := &sheet{}
			d := describers[w.kind]
			if d == nil {
				d = func(_ *kube, p *sheet, o object) error { return describeAny(p, w.resource, o) }
			}
			if err := d(k, p, o); err != nil {
				return err
			}
			k.printf("%s", p.text())
		}
	}
	if n == 0 && len(failed) == 0 {
		k.noResources(f, want)
	}
	return k.all(failed)
}

// collect gets the objects of a kind that are wanted: by name, or all.
func (k *kube) collect(f *kubectlFlags, w wanted) (out []object, failed []error) {
	ns := k.namespace
	if f.all {
		ns = ""
	}
	if len(w.names) == 0 {
		b, err := k.do("GET", withQuery(w.path(ns, ""), f.query()), nil)
		if err != nil {
			return nil, []error{f.notListed(w, "", err)}
		}
		o, err := parseObject(b)
		if err != nil {
			return nil, []error{err}
		}
		for _, it := range o.list("items") {
			m := object(it.(map[string]any))
			m["apiVersion"], m["kind"] = strings.TrimPrefix(w.group+"/"+w.version, "/"), w.kind
			out = append(out, m)
		}
		return out, nil
	}
	for _, name := range w.names {
		b, err := k.do("GET", w.path(ns, name), nil)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		o, err := parseObject(b)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		out = append(out, o)
	}
	return out, failed
}

// joined is a map on one line, as labels of a CSR are described.
func joined(m any) string {
	mm, _ := m.(map[string]any)
	var out []string
	for _, n := range sortedKeys(mm) {
		out = append(out, fmt.Sprintf("%s=%v", n, mm[n]))
	}
	if len(out) == 0 {
		return "<none>"
	}
	return strings.Join(out, ",")
}

// longNote is the length from which an annotation gets lines of its own.
const longNote = 140

// meta begins a sheet: name, namespace, labels and annotations, one a line.
func (p *sheet) meta(o object, namespaced bool) {
	p.printf("Name:\t%s\n", o.text("metadata", "name"))
	if namespaced {
		p.printf("Namespace:\t%s\n", o.text("metadata", "namespace"))
	}
	p.lines("Labels", o.get("metadata", "labels"), func(k string, v any) string { return fmt.Sprintf("%s=%v", k, v) })
	p.lines("Annotations", o.get("metadata", "annotations"), func(k string, v any) string {
		text := strings.TrimSuffix(fmt.Sprint(v), "\n")
		if len(text)+len(k) > longNote || strings.Contains(text, "\n") {
			if runes := []rune(text); len(runes) > longNote {
				text = string(runes[:longNote]) + "..."
			}
			return k + ":\n\t  " + strings.ReplaceAll(text, "\n", "\n\t  ")
		}
		return k + ": " + text
	})
}

func (p *sheet) lines(title string, m any, line func(k string, v any) string) {
	mm, _ := m.(map[string]any)
	p.printf("%s:\t", title)
	n := 0
	for _, key := range sortedKeys(mm) {
		if key == lastApplied {
			continue
		}
		if n++; n > 1 {
			p.printf("\t")
		}
		p.printf("%s\n", line(key, mm[key]))
	}
	if n == 0 {
		p.printf("<none>\n")
	}
}

// stampZ is a time as describe prints it.
func stampZ(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	return t.UTC().Format(time.RFC1123Z)
}

// condition is a CSR's state in one word, as in the column CONDITION.
func condition(o object) string {
	has := map[string]bool{}
	for _, c := range o.list("status", "conditions") {
		has[object(c.(map[string]any)).text("type")] = true
	}
	out := "Pending"
	switch {
	case has["Denied"]:
		out = "Denied"
	case has["Approved"]:
		out = "Approved"
	}
	if has["Failed"] {
		out += ",Failed"
	}
	if o.text("status", "certificate") != "" {
		out += ",Issued"
	}
	return out
}

func describeCSR(k *kube, p *sheet, o object) error {
	e := k.era()
	p.printf("Name:\t%s\n", o.text("metadata", "name"))
	p.printf("Labels:\t%s\n", joined(o.get("metadata", "labels")))
	p.printf("Annotations:\t%s\n", joined(o.get("metadata", "annotations")))
	p.printf("CreationTimestamp:\t%s\n", stampZ(o.text("metadata", "creationTimestamp")))
	p.printf("Requesting User:\t%s\n", o.text("spec", "username"))
	if s := o.text("spec", "signerName"); s != "" && era.DescribeSigner.In(e) {
		p.printf("Signer:\t%s\n", s)
	}
	if s, ok := o.get("spec", "expirationSeconds").(float64); ok && era.DescribeDuration.In(e) {
		p.printf("Requested Duration:\t%s\n", duration.HumanDuration(time.Duration(s)*time.Second))
	}
	p.printf("Status:\t%s\n", condition(o))
	b, _ := pem.Decode(decode64(o.text("spec", "request")))
	if b == nil {
		return fmt.Errorf("error: Error parsing CSR: PEM block type must be CERTIFICATE REQUEST")
	}
	csr, err := x509.ParseCertificateRequest(b.Bytes)
	if err != nil {
		return fmt.Errorf("error: Error parsing CSR: %v", err)
	}
	several := func(name string, values []string) {
		if len(values) > 0 {
			p.printf("\t%s:\t%s\n", name, strings.Join(values, "\n\t\t"))
		}
	}
	s := csr.Subject
	p.printf("Subject:\n\tCommon Name:\t%s\n\tSerial Number:\t%s\n", s.CommonName, s.SerialNumber)
	several("Organization", s.Organization)
	several("Organizational Unit", s.OrganizationalUnit)
	several("Country", s.Country)
	several("Locality", s.Locality)
	several("Province", s.Province)
	several("StreetAddress", s.StreetAddress)
	several("PostalCode", s.PostalCode)
	var uris, ips []string
	for _, u := range csr.URIs {
		uris = append(uris, u.String())
	}
	for _, ip := range csr.IPAddresses {
		ips = append(ips, ip.String())
	}
	if len(csr.DNSNames)+len(csr.EmailAddresses)+len(uris)+len(ips) > 0 {
		p.printf("Subject Alternative Names:\n")
		several("DNS Names", csr.DNSNames)
		several("Email Addresses", csr.EmailAddresses)
		several("URIs", uris)
		several("IP Addresses", ips)
	}
	p.printf("Events:\t<none>\n")
	return nil
}

func describeSecret(_ *kube, p *sheet, o object) error {
	p.meta(o, true)
	p.printf("\nType:\t%s\n\nData\n====\n", o.text("type"))
	data, _ := o["data"].(map[string]any)
	for _, n := range sortedKeys(data) {
		p.printf("%s:\t%d bytes\n", n, len(decode64(fmt.Sprint(data[n]))))
	}
	return nil
}

func describeBinding(_ *kube, p *sheet, o object) error {
	p.meta(o, false)
	p.printf("Role:\n  Kind:\t%s\n  Name:\t%s\nSubjects:\n", o.text("roleRef", "kind"), o.text("roleRef", "name"))
	p.printf("  Kind\tName\tNamespace\n  ----\t----\t---------\n")
	for _, s := range o.list("subjects") {
		m := object(s.(map[string]any))
		p.printf("  %s\t%s\t%s\n", m.text("kind"), m.text("name"), m.text("namespace"))
	}
	return nil
}

func describeRole(_ *kube, p *sheet, o object) error {
	p.meta(o, false)
	p.printf("PolicyRule:\n  Resources\tNon-Resource URLs\tResource Names\tVerbs\n  ---------\t-----------------\t--------------\t-----\n")
	for _, r := range o.list("rules") {
		m := object(r.(map[string]any))
		for _, name := range ruleResources(m) {
			p.printf("  %s\t%s\t%s\t%s\n", name, bracket(m.list("nonResourceURLs")), bracket(m.list("resourceNames")), bracket(m.list("verbs")))
		}
	}
	return nil
}

// ruleResources are a rule's resources, each with its group.
func ruleResources(rule object) []string {
	resources, groups := rule.list("resources"), rule.list("apiGroups")
	if len(resources) == 0 {
		return []string{""}
	}
	if len(groups) == 0 {
		groups = []any{""}
	}
	var out []string
	for _, r := range resources {
		for _, g := range groups {
			head, tail, ok := strings.Cut(fmt.Sprint(r), "/")
			if g != "" {
				head += "." + fmt.Sprint(g)
			}
			if ok {
				head += "/" + tail
			}
			out = append(out, head)
		}
	}
	return out
}

func bracket(l []any) string {
	var out []string
	for _, v := range l {
		out = append(out, fmt.Sprint(v))
	}
	return "[" + strings.Join(out, " ") + "]"
}

func describeAny(p *sheet, r resource, o object) error {
	p.meta(o, r.namespaced)
	p.printf("API Version:\t%s\nKind:\t%s\n", o.text("apiVersion"), o.text("kind"))
	p.printf("Metadata:\n  Creation Timestamp:\t%s\n", o.text("metadata", "creationTimestamp"))
	for _, field := range sortedKeys(o) {
		switch field {
		case "metadata", "apiVersion", "kind":
			continue
		}
		b, err := yaml.Marshal(o[field])
		if err != nil {
			return err
		}
		p.printf("%s:\n", strings.ToUpper(field[:1])+field[1:])
		for l := range strings.Lines(string(b)) {
			p.printf("  %s", l)
		}
	}
	p.printf("Events:\t<none>\n")
	return nil
}

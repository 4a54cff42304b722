package shell

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// describers print single kinds as kubectl does; other kinds are printed as
// their fields.
var describers = map[string]func(k *kube, o object){
	"CertificateSigningRequest": describeCSR,
	"Secret":                    describeSecret,
	"ClusterRoleBinding":        describeBinding,
	"ClusterRole":               describeRole,
}

func describe(k *kube, f *kubectlFlags, args []string) error {
	want, err := k.targets(args)
	if err != nil {
		return err
	}
	n := 0
	for _, w := range want {
		names := w.names
		if len(names) == 0 {
			target := w.path(k.namespace, "")
			if q := f.query(); len(q) > 0 {
				target += "?" + q.Encode()
			}
			b, err := k.do("GET", target, nil)
			if err != nil {
				return err
			}
			o, _ := parseObject(b)
			for _, it := range o.list("items") {
				names = append(names, object(it.(map[string]any)).text("metadata", "name"))
			}
		}
		for _, name := range names {
			b, err := k.do("GET", w.path(k.namespace, name), nil)
			if err != nil {
				return err
			}
			o, err := parseObject(b)
			if err != nil {
				return err
			}
			if n++; n > 1 {
				k.printf("\n\n")
			}
			if d := describers[w.kind]; d != nil {
				d(k, o)
			} else {
				describeAny(k, w.resource, o)
			}
		}
	}
	if n == 0 {
		where := ""
		if want[0].namespaced {
			where = " in " + k.namespace + " namespace."
		}
		fmt.Fprintf(k.errs, "No resources found%s\n", where)
	}
	return nil
}

// pairs aligns "Key:  value" lines as describe does.
func (k *kube) pairs(rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0])+1)
	}
	for _, r := range rows {
		lines := strings.Split(r[1], "\n")
		for i, l := range lines {
			head := ""
			if i == 0 {
				head = r[0] + ":"
			}
			k.printf("%-*s  %s\n", width, head, l)
		}
	}
}

func pairsOf(m any, sep string) string {
	mm, _ := m.(map[string]any)
	if len(mm) == 0 {
		return "<none>"
	}
	var out []string
	for _, n := range sortedKeys(mm) {
		if n != lastApplied {
			out = append(out, fmt.Sprintf("%s%s%v", n, sep, mm[n]))
		}
	}
	if len(out) == 0 {
		return "<none>"
	}
	return strings.Join(out, "\n")
}

func stampZ(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	return t.Format(time.RFC1123Z)
}

func describeCSR(k *kube, o object) {
	var approved, denied, failed bool
	for _, c := range o.list("status", "conditions") {
		switch object(c.(map[string]any)).text("type") {
		case "Approved":
			approved = true
		case "Denied":
			denied = true
		case "Failed":
			failed = true
		}
	}
	condition := "Pending"
	if denied {
		condition = "Denied"
	} else if approved {
		condition = "Approved"
	}
	if failed {
		condition += ",Failed"
	}
	if o.text("status", "certificate") != "" {
		condition += ",Issued"
	}
	rows := [][2]string{
		{"Name", o.text("metadata", "name")},
		{"Labels", pairsOf(o.get("metadata", "labels"), "=")},
		{"Annotations", pairsOf(o.get("metadata", "annotations"), ": ")},
		{"CreationTimestamp", stampZ(o.text("metadata", "creationTimestamp"))},
		{"Requesting User", o.text("spec", "username")},
		{"Signer", o.text("spec", "signerName")},
	}
	if s, ok := o.get("spec", "expirationSeconds").(float64); ok {
		rows = append(rows, [2]string{"Requested Duration", human(time.Duration(s) * time.Second)})
	}
	rows = append(rows, [2]string{"Status", condition})
	k.pairs(rows)
	b, _ := pem.Decode(decode64(o.text("spec", "request")))
	if b == nil {
		k.printf("Events:  <none>\n")
		return
	}
	csr, err := x509.ParseCertificateRequest(b.Bytes)
	if err != nil {
		k.printf("Events:  <none>\n")
		return
	}
	field := [][2]string{{"Common Name", csr.Subject.CommonName}, {"Serial Number", csr.Subject.SerialNumber}}
	add := func(name string, v []string) {
		if len(v) > 0 {
			field = append(field, [2]string{name, strings.Join(v, "\n")})
		}
	}
	add("Organization", csr.Subject.Organization)
	add("Organizational Unit", csr.Subject.OrganizationalUnit)
	add("Country", csr.Subject.Country)
	add("Locality", csr.Subject.Locality)
	add("Province", csr.Subject.Province)
	add("StreetAddress", csr.Subject.StreetAddress)
	add("PostalCode", csr.Subject.PostalCode)
	var names [][2]string
	san := func(name string, v []string) {
		if len(v) > 0 {
			names = append(names, [2]string{name, strings.Join(v, "\n")})
		}
	}
	san("DNS Names", csr.DNSNames)
	san("Email Addresses", csr.EmailAddresses)
	var uris, ips []string
	for _, u := range csr.URIs {
		uris = append(uris, u.String())
	}
	for _, ip := range csr.IPAddresses {
		ips = append(ips, ip.String())
	}
	san("URIs", uris)
	san("IP Addresses", ips)
	// Both blocks share the tab stops of the one that ends: alone, the subject
	// stands under the wide column of "Events:".
	indent := strings.Repeat(" ", 9)
	if len(names) > 0 {
		indent = "  "
	}
	block := func(title string, rows [][2]string, indent string) {
		k.printf("%s:\n", title)
		width := 0
		for _, r := range rows {
			width = max(width, len(r[0])+1)
		}
		for _, r := range rows {
			for i, l := range strings.Split(r[1], "\n") {
				head := ""
				if i == 0 {
					head = r[0] + ":"
				}
				k.printf("%s%-*s  %s\n", indent, width, head, l)
			}
		}
	}
	block("Subject", field, indent)
	if len(names) > 0 {
		block("Subject Alternative Names", names, strings.Repeat(" ", 9))
	}
	k.printf("Events:  <none>\n")
}

// human prints a duration as k8s.io/apimachinery/pkg/util/duration does for
// whole units.
func human(d time.Duration) string {
	s := int(d.Seconds())
	switch {
	case s < 120:
		return fmt.Sprintf("%ds", s)
	case s < 600:
		return two(s/60, "m", s%60, "s")
	case s < 3*3600:
		return fmt.Sprintf("%dm", s/60)
	case s < 8*3600:
		return two(s/3600, "h", s/60%60, "m")
	case s < 48*3600:
		return fmt.Sprintf("%dh", s/3600)
	case s < 8*86400:
		return two(s/86400, "d", s/3600%24, "h")
	case s < 730*86400:
		return fmt.Sprintf("%dd", s/86400)
	case s < 8*365*86400:
		return two(s/86400/365, "y", s/86400%365, "d")
	}
	return fmt.Sprintf("%dy", s/86400/365)
}

func two(a int, x string, b int, y string) string {
	if b == 0 {
		return fmt.Sprintf("%d%s", a, x)
	}
	return fmt.Sprintf("%d%s%d%s", a, x, b, y)
}

func describeSecret(k *kube, o object) {
	k.pairs([][2]string{
		{"Name", o.text("metadata", "name")},
		{"Namespace", o.text("metadata", "namespace")},
		{"Labels", pairsOf(o.get("metadata", "labels"), "=")},
		{"Annotations", pairsOf(o.get("metadata", "annotations"), ": ")},
	})
	k.printf("\nType:  %s\n\nData\n====\n", o.text("type"))
	data, _ := o["data"].(map[string]any)
	var rows [][2]string
	for _, n := range sortedKeys(data) {
		rows = append(rows, [2]string{n, fmt.Sprintf("%d bytes", len(decode64(fmt.Sprint(data[n]))))})
	}
	k.pairs(rows)
}

func describeBinding(k *kube, o object) {
	k.pairs([][2]string{
		{"Name", o.text("metadata", "name")},
		{"Labels", pairsOf(o.get("metadata", "labels"), "=")},
		{"Annotations", pairsOf(o.get("metadata", "annotations"), ": ")},
	})
	k.printf("Role:\n  Kind:  %s\n  Name:  %s\nSubjects:\n", o.text("roleRef", "kind"), o.text("roleRef", "name"))
	rows := [][]string{{"Kind", "Name", "Namespace"}, {"----", "----", "---------"}}
	for _, s := range o.list("subjects") {
		m := object(s.(map[string]any))
		rows = append(rows, []string{m.text("kind"), m.text("name"), m.text("namespace")})
	}
	k.indented(rows)
}

// indented prints rows with two blanks before and between.
func (k *kube) indented(rows [][]string) {
	var width []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len(c))
		}
	}
	for _, r := range rows {
		line := "  "
		for i, c := range r {
			if i < len(r)-1 {
				line += fmt.Sprintf("%-*s  ", width[i], c)
			} else {
				line += c
			}
		}
		k.printf("%s\n", line)
	}
}

func describeRole(k *kube, o object) {
	k.pairs([][2]string{
		{"Name", o.text("metadata", "name")},
		{"Labels", pairsOf(o.get("metadata", "labels"), "=")},
		{"Annotations", pairsOf(o.get("metadata", "annotations"), ": ")},
	})
	k.printf("PolicyRule:\n")
	rows := [][]string{{"Resources", "Non-Resource URLs", "Resource Names", "Verbs"}, {"---------", "-----------------", "--------------", "-----"}}
	for _, r := range o.list("rules") {
		m := object(r.(map[string]any))
		resources := m.list("resources")
		if len(resources) == 0 {
			resources = []any{""}
		}
		for _, res := range resources {
			name := fmt.Sprint(res)
			if g := m.list("apiGroups"); len(g) > 0 && fmt.Sprint(g[0]) != "" && name != "" {
				head, tail, ok := strings.Cut(name, "/")
				name = head + "." + fmt.Sprint(g[0])
				if ok {
					name += "/" + tail
				}
			}
			rows = append(rows, []string{name, bracket(m.list("nonResourceURLs")), bracket(m.list("resourceNames")), bracket(m.list("verbs"))})
		}
	}
	k.indented(rows)
}

func bracket(l []any) string {
	var out []string
	for _, v := range l {
		out = append(out, fmt.Sprint(v))
	}
	return "[" + strings.Join(out, " ") + "]"
}

func describeAny(k *kube, r resource, o object) {
	rows := [][2]string{{"Name", o.text("metadata", "name")}}
	if r.namespaced {
		rows = append(rows, [2]string{"Namespace", o.text("metadata", "namespace")})
	}
	k.pairs(append(rows,
		[2]string{"Labels", pairsOf(o.get("metadata", "labels"), "=")},
		[2]string{"Annotations", pairsOf(o.get("metadata", "annotations"), ": ")},
		[2]string{"CreationTimestamp", stampZ(o.text("metadata", "creationTimestamp"))}))
	for _, field := range sortedKeys(o) {
		switch field {
		case "metadata", "apiVersion", "kind":
			continue
		}
		b, _ := yaml.Marshal(o[field])
		k.printf("%s:\n", strings.ToUpper(field[:1])+field[1:])
		for l := range strings.Lines(string(b)) {
			k.printf("  %s", l)
		}
	}
}

package pki

import (
	"crypto/x509"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Detail describes a certificate as Kubernetes' servers log it.
//
// Models apiserver/pkg/server/dynamiccertificates GetHumanCertDetail.
func Detail(x *x509.Certificate, now time.Time) string {
	const form = "2006-01-02 15:04:05 -0700 MST"
	issuer := x.Issuer.CommonName
	if issuer == x.Subject.CommonName {
		issuer = "<self>"
	}
	var usages, names []string
	for _, u := range x.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageClientAuth:
			usages = append(usages, "client")
		case x509.ExtKeyUsageServerAuth:
			usages = append(usages, "serving")
		default:
			usages = append(usages, strconv.Itoa(int(u)))
		}
	}
	for _, ip := range x.IPAddresses {
		names = append(names, ip.String())
	}
	names = append(names, x.DNSNames...)
	more := ""
	if len(x.Subject.Organization) > 0 {
		more += " groups=[" + strings.Join(x.Subject.Organization, ",") + "]"
	}
	if len(names) > 0 {
		more += " validServingFor=[" + strings.Join(names, ",") + "]"
	}
	return fmt.Sprintf("%q [%s]%s issuer=%q (%s to %s (now=%s))", x.Subject.CommonName, strings.Join(usages, ","), more, issuer,
		x.NotBefore.UTC().Format(form), x.NotAfter.UTC().Format(form), now.Format("2006-01-02 15:04:05.999999999 -0700 MST"))
}

// Colons prints a key's id as openssl does.
func Colons(id []byte) string {
	parts := make([]string, len(id))
	for i, b := range id {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}

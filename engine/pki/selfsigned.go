package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// SelfSignedPair makes the certificate that a server gives itself when it has
// none: for host, for so many years of 365 days, by a CA of the moment that
// nobody else knows, both named after the time. Real ones have RSA keys of 2048
// bits. It returns two CERTIFICATE blocks, leaf first. Serials are positive
// numbers, big-endian.
//
// Models k8s.io/client-go/util/cert GenerateSelfSignedCertKey.
func SelfSignedPair(host string, caKey, key crypto.Signer, caSerial, serial []byte, now time.Time, early time.Duration, years int) ([]byte, error) {
	stamp := fmt.Sprintf("%d", now.Unix())
	from := now.UTC().Truncate(time.Second).Add(-early) // a client's clock may be late
	until := from.Add(time.Duration(years) * 365 * 24 * time.Hour)
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return made.try(digest("self-signed", pub, []byte(host), caSerial, serial, fmt.Append(nil, stamp, early, years)), func() ([]byte, error) {
		ca := &x509.Certificate{
			SerialNumber: new(big.Int).SetBytes(caSerial), Subject: pkix.Name{CommonName: host + "-ca@" + stamp}, NotBefore: from, NotAfter: until,
			KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			BasicConstraintsValid: true, IsCA: true, SubjectKeyId: keyID(caKey.Public()),
		}
		caDER, err := x509.CreateCertificate(nil, ca, ca, caKey.Public(), caKey)
		if err != nil {
			return nil, err
		}
		leaf := &x509.Certificate{
			SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: host + "@" + stamp}, NotBefore: from, NotAfter: until,
			KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			BasicConstraintsValid: true, DNSNames: []string{host},
		}
		der, err := x509.CreateCertificate(nil, leaf, ca, key.Public(), caKey)
		if err != nil {
			return nil, err
		}
		return CertPEM(der, caDER), nil
	})
}

// SelfSignedAuthority makes one certificate that is its own authority, as releases
// before 1.10 did. Models k8s.io/client-go/util/cert @1.7 GenerateSelfSignedCertKey.
func SelfSignedAuthority(host string, key crypto.Signer, now time.Time) ([]byte, error) {
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	stamp := fmt.Sprintf("%d", now.Unix())
	return made.try(digest("self-signed authority", pub, []byte(host), []byte(stamp)), func() ([]byte, error) {
		from := now.UTC().Truncate(time.Second)
		x := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host + "@" + stamp}, NotBefore: from, NotAfter: from.AddDate(0, 0, 365),
			KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			BasicConstraintsValid: true, IsCA: true, SubjectKeyId: keyID(key.Public()), DNSNames: []string{host},
		}
		der, err := x509.CreateCertificate(nil, x, x, key.Public(), key)
		if err != nil {
			return nil, err
		}
		return CertPEM(der), nil
	})
}

package kubelet

import (
	"bytes"
	"crypto"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// The older bootstrap, of a kubelet that does not rotate: one request, for
// which the process waits before it does anything else, and any failure is its
// end. Models pkg/kubelet/certificate/bootstrap LoadClientCert.

// keyFile is where its key is, so that a restarted kubelet makes the same request;
// certFile where its certificate is, when that does not go into the store.
func (k *Kubelet) keyFile() string {
	return path.Join(k.Flags.CertDir, era.KubeletBootstrapKey.In(k.era()))
}

func (k *Kubelet) certFile() string {
	if name := era.KubeletBootstrapCert.In(k.era()); name != "" {
		return path.Join(k.Flags.CertDir, name)
	}
	return ""
}

// cleanBootstrap removes what a bootstrap that failed has left, in the releases
// that then begin anew.
func (k *Kubelet) cleanBootstrap(c *sim.Ctx) {
	if era.KubeletBootstrapCleans.In(k.era()) {
		c.Disk.Remove(k.keyFile())
		c.Disk.Remove(k.certFile())
	}
}

// beginSync reads the bootstrap kubeconfig and the key, and waits for the server.
func (k *Kubelet) beginSync(c *sim.Ctx) {
	r := &k.Client
	k.log(c, lineSync)
	cl, u, ok := k.loadBootstrap(c)
	if !ok {
		return
	}
	k.Cluster, k.Token = cl, u.Token
	r.Sync = true
	r.Attempt = attempt{Try: 1, Began: c.Now, Conn: connBootstrap}
	if err := c.Disk.MkdirAll(k.Flags.CertDir, 0o755, c.Clock()); err != nil {
		k.die(c, "failed to run Kubelet: unable to build bootstrap cert store: "+err.Error())
		return
	}
	if k.certFile() != "" {
		if !k.loadBootKey(c) {
			return
		}
	} else if cert, err := k.loadStore(c, r, "", ""); err == nil && cert != nil {
		if key, err := pki.ParseKey(cert.Key); err == nil {
			r.Attempt.Key = pki.KeyPEM(key)
		}
	}
	if r.Attempt.Key == nil {
		k.log(c, lineNoKey)
		if !k.loadBootKey(c) {
			return
		}
	}
	k.noteLife(c, r, PhaseRequesting, "try", "1")
	if era.KubeletServerWait.In(k.era()).Steps == 0 {
		k.requestSync(c)
		return
	}
	k.tryServer(c)
}

func (k *Kubelet) loadBootKey(c *sim.Ctx) bool {
	file := k.keyFile()
	if data, err := c.Disk.ReadFile(file); err == nil {
		if _, err := pki.ParseKey(data); err == nil {
			k.Client.Attempt.Key = data
			return true
		}
	}
	key := k.newKey(c, lives[useClient].prefix)
	k.Client.Attempt.Key = pki.KeyPEM(key)
	if err := c.Disk.WriteFile(file, k.Client.Attempt.Key, 0o600, c.Clock()); err != nil {
		k.die(c, "failed to run Kubelet: "+err.Error())
		return false
	}
	return true
}

// tryServer asks whether the server is up; after a minute the request is made
// all the same.
func (k *Kubelet) tryServer(c *sim.Ctx) {
	k.send(c, "sync.healthz", connBootstrap, "GET", "/healthz?timeout=1s", nil)
}

func (k *Kubelet) serverTried(c *sim.Ctx, a answer) {
	if a.ok() {
		k.requestSync(c)
		return
	}
	why := a.err()
	if a.kind == sim.MsgResponse && a.code == 401 {
		why = "the server has asked for the client to provide credentials"
	}
	k.log(c, lineNoServer, "err", why)
	b := era.KubeletServerWait.In(k.era())
	wait := k.pause(c, "server-wait", b, 0)
	end := k.Client.Attempt.Began.Add(time.Duration(b.Steps) * b.First)
	if c.Now.Add(wait).After(end) {
		k.after(c, "late", end.Sub(c.Now))
		return
	}
	k.after(c, "server", wait)
}

func (k *Kubelet) serverLate(c *sim.Ctx) {
	k.log(c, lineServerLate, "err", "timed out waiting to connect to apiserver")
	k.requestSync(c)
}

// syncName is the name of the request: of the key and all that is asked for, so
// that the same kubelet makes the same request again. Models digestedName.
func syncName(e era.Era, pem []byte, key crypto.PublicKey, subject pkix.Name, usages []string) (string, error) {
	piece := pem
	if era.KubeletCSRDigest.In(e) == "public key" {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return "", err
		}
		piece = der
	}
	var b bytes.Buffer
	write := func(piece []byte) { b.WriteString(base64.RawURLEncoding.EncodeToString(piece) + "|") }
	write(piece)
	write([]byte(subject.CommonName))
	for _, o := range subject.Organization {
		write([]byte(o))
	}
	for _, u := range usages {
		write([]byte(u))
	}
	sum := sha512.Sum512_256(b.Bytes())
	return "node-csr-" + base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// requestSync makes the one request.
func (k *Kubelet) requestSync(c *sim.Ctx) {
	r := &k.Client
	fatal := func(err error) { k.die(c, "failed to run Kubelet: "+err.Error()) }
	key, err := pki.ParseKey(r.Attempt.Key)
	if err != nil {
		fatal(fmt.Errorf("invalid private key for certificate request: %w", err))
		return
	}
	subject := k.subject()
	csr, err := pki.NewRequest(key, pki.Request{Subject: subject})
	if err != nil {
		fatal(fmt.Errorf("unable to generate certificate request: %w", err))
		return
	}
	usages := r.life().usages.In(k.era())
	if r.Attempt.Name, err = syncName(k.era(), r.Attempt.Key, key.Public(), subject, usages); err != nil {
		fatal(err)
		return
	}
	k.send(c, "sync.create", connBootstrap, "POST", k.csrs(), &certv1.CertificateSigningRequest{
		TypeMeta:   metav1.TypeMeta{Kind: "CertificateSigningRequest", APIVersion: k.csrVersion()},
		ObjectMeta: metav1.ObjectMeta{Name: r.Attempt.Name},
		Spec:       k.requestSpec(r, csr),
	})
}

func keyUsages(list []string) (out []certv1.KeyUsage) {
	for _, u := range list {
		out = append(out, certv1.KeyUsage(u))
	}
	return out
}

func (k *Kubelet) syncCreated(c *sim.Ctx, a answer) {
	switch {
	case a.kind == sim.MsgResponse && a.code == 409:
		k.log(c, lineReusing)
		k.send(c, "sync.get", connBootstrap, "GET", k.csrs()+"/"+k.Client.Attempt.Name, nil)
	case !a.ok():
		k.failed(c, &k.Client, lineRefused, "cannot create certificate signing request: "+a.err())
	default:
		k.logCert(c, &k.Client, lineCreated, "csr", k.Client.Attempt.Name)
		k.awaitSync(c, a)
	}
}

// syncGot looks whether the request that is there already is this kubelet's and
// can still be used.
func (k *Kubelet) syncGot(c *sim.Ctx, a answer) {
	if !a.ok() {
		k.failed(c, &k.Client, lineRefused, "cannot retrieve certificate signing request: "+a.err())
		return
	}
	var csr certv1.CertificateSigningRequest
	json.Unmarshal(a.data, &csr)
	if err := k.compatible(c, &csr); err != nil {
		k.failed(c, &k.Client, lineRefused, "retrieved csr is not compatible: "+err.Error())
		return
	}
	k.log(c, lineStillGood)
	k.awaitSync(c, a)
}

// compatible: models k8s.io/client-go/util/certificate/csr ensureCompatible.
func (k *Kubelet) compatible(c *sim.Ctx, csr *certv1.CertificateSigningRequest) error {
	key, err := pki.ParseKey(k.Client.Attempt.Key)
	if err != nil {
		return err
	}
	old, err := pki.ParseRequest(csr.Spec.Request)
	if err != nil {
		return fmt.Errorf("unable to parse old csr: %w", err)
	}
	mine, _ := x509.MarshalPKIXPublicKey(key.Public())
	theirs, _ := x509.MarshalPKIXPublicKey(old.PublicKey)
	switch {
	case old.Subject.String() != (pkix.Name{Organization: []string{"system:nodes"}, CommonName: k.user()}).String():
		return fmt.Errorf("csr subjects differ: new: %#v, old: %#v", k.user(), old.Subject.CommonName)
	case era.KubeletCSRSigner.In(k.era()) && csr.Spec.SignerName != "" && csr.Spec.SignerName != k.Client.life().signer:
		return fmt.Errorf("csr signerNames differ: new %q, old: %q", k.Client.life().signer, csr.Spec.SignerName)
	case !bytes.Equal(mine, theirs):
		return fmt.Errorf("error validating signature new CSR against old key: x509: ECDSA verification failure")
	}
	if era.KubeletChecksKubeconfig.In(k.era()) && len(csr.Status.Certificate) > 0 {
		certs, err := pki.ParseCerts(csr.Status.Certificate)
		if err != nil {
			return fmt.Errorf("error parsing certificate from CSR: %w", err)
		}
		for _, x := range certs {
			if c.Clock().After(x.NotAfter) {
				return fmt.Errorf("one of the certificates for the CSR has expired: %s", x.NotAfter)
			}
		}
	}
	return nil
}

// awaitSync waits for the certificate, for an hour at most.
func (k *Kubelet) awaitSync(c *sim.Ctx, a answer) {
	r := &k.Client
	var csr certv1.CertificateSigningRequest
	json.Unmarshal(a.data, &csr)
	wait := era.KubeletSyncWait.In(k.era())
	r.Attempt.UID, r.Attempt.Deadline = string(csr.UID), c.Now.Add(wait)
	k.log(c, lineAwaiting)
	k.after(c, "overdue "+r.Use, wait)
	k.noteLife(c, r, PhasePending, "csr", r.Attempt.Name, "try", strconv.Itoa(r.Attempt.Try), "next", stamp(r.Attempt.Deadline))
	k.lookAtCSR(c, r)
}

// synced: the certificate is there; it is stored, and the kubelet starts.
func (k *Kubelet) synced(c *sim.Ctx, cert []byte) {
	r := &k.Client
	certFile, keyFile := k.certFile(), k.keyFile()
	var err error
	if certFile != "" {
		err = c.Disk.WriteFile(certFile, cert, 0o644, c.Clock())
	} else if _, err = parsePair(cert, r.Attempt.Key); err == nil {
		err = saveStore(c.Disk, k.Flags.CertDir, r.life().prefix, cert, r.Attempt.Key, c.Clock())
	}
	if err != nil {
		k.failed(c, r, lineNotStored, err.Error())
		return
	}
	k.leaveCSR(c, r)
	r.Attempt = attempt{}
	r.Sync, k.Token = false, ""
	if certFile == "" {
		c.Disk.Remove(keyFile)
		certFile = currentFile(k.Flags.CertDir, r.life().prefix)
		keyFile = certFile
	}
	c.CloseConn(connBootstrap)
	if err := writeKubeconfig(k.era(), c.Disk, k.Flags.Kubeconfig, certFile, keyFile, k.Cluster, c.Clock()); err != nil {
		k.die(c, "failed to run Kubelet: "+err.Error())
		return
	}
	k.run(c)
}

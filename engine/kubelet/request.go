package kubelet

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// csrs is where the API has CertificateSigningRequests, csrVersion their version.
func (k *Kubelet) csrs() string {
	return era.Path(k.era(), "certificates.k8s.io", "certificatesigningrequests")
}

func (k *Kubelet) csrVersion() string {
	return era.Preferred(k.era(), "certificates.k8s.io", "certificatesigningrequests")
}

// Names of the kubelet's connections: everything goes over api, but what asks
// for certificates goes over bootstrap (with the token) or renewal (with the
// certificate).
const (
	connAPI       = "api"
	connBootstrap = "bootstrap"
	connRenewal   = "renewal"
)

// attempt is one try to get a certificate, and how many there were before.
type attempt struct {
	// Try counts from 1 since the last success; Began is when this one began.
	Try   int       `json:"try,omitempty"`
	Began time.Time `json:"began,omitzero"`
	// Polling since: the back-off is over and tries come at fixed times.
	Polling time.Time `json:"polling,omitzero"`
	// Forced: the certificate at hand was embedded in a kubeconfig.
	Forced bool `json:"forced,omitempty"`

	Conn     string    `json:"conn,omitempty"`
	Key      []byte    `json:"key,omitempty"`
	Name     string    `json:"name,omitempty"`
	UID      string    `json:"uid,omitempty"`
	Deadline time.Time `json:"deadline,omitzero"`
	Approved bool      `json:"approved,omitempty"`
	// Seen is the resourceVersion that its watch came to. Rewatched counts watches
	// that failed in a row, Look the looks at the CSR that came to nothing.
	Seen      string `json:"seen,omitempty"`
	Rewatched int    `json:"rewatched,omitempty"`
	Look      int    `json:"look,omitempty"`
	// Watching: the watch was opened.
	Watching bool `json:"watching,omitempty"`
}

// rotate makes one try: a new key, a CSR, and the wait for its certificate.
func (k *Kubelet) rotate(c *sim.Ctx, r *rotation) {
	if r.Use == useServing && !k.nameServing(c) {
		k.after(c, "deadline "+r.Use, era.KubeletSettle.In(k.era()))
		return
	}
	a := &r.Attempt
	a.Try++
	a.Began = c.Now
	a.Name, a.UID, a.Approved, a.Seen, a.Rewatched, a.Look = "", "", false, "", 0, 0
	k.stop("overdue "+r.Use, "rewatch "+r.Use, "relook "+r.Use)
	k.logCert(c, r, lineRotating)

	if era.KubeletAnnounces.In(k.era()) {
		k.log(c, lineRequesting)
	}
	life := r.life()
	key := k.newKey(c, life.prefix)
	a.Key = pki.KeyPEM(key)
	csr, err := pki.NewRequest(key, pki.Request{Subject: k.subject(), DNS: r.DNS, IPs: parsedIPs(r.IPs)})
	if err != nil {
		k.failed(c, r, lineRefused, "cannot create certificate signing request: "+err.Error())
		return
	}
	a.Conn = k.connFor(c, r)
	k.noteLife(c, r, k.phaseOf(c, r), "try", strconv.Itoa(a.Try), "deadline", r.deadline())
	k.send(c, "csr.create "+r.Use, a.Conn, "POST", k.csrs(), &certv1.CertificateSigningRequest{
		TypeMeta:   metav1.TypeMeta{Kind: "CertificateSigningRequest", APIVersion: k.csrVersion()},
		ObjectMeta: metav1.ObjectMeta{GenerateName: "csr-"},
		Spec:       k.requestSpec(r, csr),
	})
}

// requestSpec is what a CertificateSigningRequest for a life says.
func (k *Kubelet) requestSpec(r *rotation, csr []byte) certv1.CertificateSigningRequestSpec {
	spec := certv1.CertificateSigningRequestSpec{Request: csr, Usages: keyUsages(r.life().usages.In(k.era()))}
	if era.KubeletCSRSigner.In(k.era()) {
		spec.SignerName = r.life().signer
	}
	return spec
}

func (k *Kubelet) subject() pkix.Name {
	return pkix.Name{Organization: []string{"system:nodes"}, CommonName: k.user()}
}

// newKey makes a key. Each has its number in the stream of chance, so that a
// restarted kubelet does not make the keys of its predecessor again.
func (k *Kubelet) newKey(c *sim.Ctx, prefix string) crypto.Signer {
	stream := c.Host + "/" + prefix
	n := c.Chance.Drawn[stream]
	c.Chance.Uint64(stream)
	return pki.Keyring{Seed: c.Chance.Seed}.ECDSA(fmt.Sprintf("%s/%d", stream, n))
}

// connFor is the connection that a life's request goes over, by whose rights it
// has: the token's, or those of the certificate that is there.
func (k *Kubelet) connFor(c *sim.Ctx, r *rotation) string {
	switch {
	case r.Use == useServing, !era.KubeletBackground.In(k.era()):
		// Before there were certificates to be asked for in the background, that had no
		// client of its own.
		return connAPI
	case k.Token != "" && !k.Client.valid(c):
		return connBootstrap
	}
	return connRenewal
}

// phaseOf is the phase of a life whose request is on its way.
func (k *Kubelet) phaseOf(c *sim.Ctx, r *rotation) string {
	switch {
	case r.valid(c):
		return PhaseRotating
	case r.Attempt.Name != "":
		return PhasePending
	}
	return PhaseRequesting
}

// asker tells in a note whose rights the request has.
func (k *Kubelet) asker(r *rotation) []string {
	if r.Attempt.Conn == connBootstrap {
		id, _, _ := strings.Cut(k.Token, ".")
		return []string{"identity", "token", "user", "system:bootstrap:" + id}
	}
	if k.Client.Cert == nil {
		return []string{"identity", "anonymous", "user", "system:anonymous"}
	}
	return []string{"identity", "client-cert", "user", k.Client.Cert.CN}
}

// csrCreated: only a failed creation tells whether the server is in good health:
// Unauthorized, Forbidden and NotFound are answers of a server that works.
func (k *Kubelet) csrCreated(c *sim.Ctx, a answer) {
	r := k.life(a.arg)
	if !a.ok() && r.Use == useServing {
		k.failed(c, r, lineRefused, "cannot create certificate signing request: "+a.err())
		return
	}
	if !a.ok() {
		k.Health.Server = a.kind == sim.MsgResponse && (a.code == 401 || a.code == 403 || a.code == 404)
		if k.Health.Server && k.Health.Complaints > 0 {
			// The folded complaints must not hide the end of the process.
			k.after(c, "lost", k.tick(c, k.lostPeriod(), c.Now))
		}
		k.failed(c, r, lineRefused, "cannot create certificate signing request: "+a.err())
		return
	}
	csr, err := sim.Decode[certv1.CertificateSigningRequest](sim.Unmanaged(a.data))
	if err != nil || csr.Name == "" {
		k.failed(c, r, lineRefused, "cannot create certificate signing request: the answer is no CertificateSigningRequest")
		return
	}
	var wait time.Duration
	for _, list := range [][]time.Duration{era.KubeletCSRWaits.In(k.era()), era.KubeletCSRPauses.In(k.era())} {
		for _, d := range list {
			wait += d
		}
	}
	r.Attempt.Name, r.Attempt.UID, r.Attempt.Deadline = csr.Name, string(csr.UID), c.Now.Add(wait)
	k.logCert(c, r, lineCreated, "csr", csr.Name)
	k.noteLife(c, r, k.phaseOf(c, r), "csr", csr.Name, "try", strconv.Itoa(r.Attempt.Try), "next", stamp(r.Attempt.Deadline), "deadline", r.deadline())
	k.lookAtCSR(c, r)
}

// lookAtCSR begins one wait for the CSR's answer.
func (k *Kubelet) lookAtCSR(c *sim.Ctx, r *rotation) {
	r.Attempt.Seen, r.Attempt.Watching = "", false
	if waits := era.KubeletCSRWaits.In(k.era()); !r.Sync && era.KubeletCSRListed.In(k.era()) {
		k.after(c, "overdue "+r.Use, waits[r.Attempt.Look])
	}
	if !r.Sync && !era.KubeletCSRListed.In(k.era()) {
		k.watchCSR(c, r)
		return
	}
	q := "?fieldSelector=" + url.QueryEscape("metadata.name="+r.Attempt.Name)
	if era.ClientPages.In(k.era()) && !era.KubeletCSRProbed.In(k.era()) {
		q += "&limit=500"
	}
	if era.KubeletCSRInformed.In(k.era()) && !era.KubeletCSRProbed.In(k.era()) {
		q += "&resourceVersion=0"
	}
	k.send(c, "csr.list "+r.Use, r.Attempt.Conn, "GET", k.csrs()+q, nil)
}

// csrListed: where the list is made to see whether the CSR may be read at all, what
// counts is the watch, which begins with the object as it is, or another list.
func (k *Kubelet) csrListed(c *sim.Ctx, a answer) {
	r := k.life(a.arg)
	if !a.ok() {
		if strings.Contains(a.URL, "resourceVersion=0") {
			// An informer lists again.
			k.rewatch(c, r)
			return
		}
		k.unsigned(c, r, noWatch+a.err())
		return
	}
	switch {
	case era.ClientWatchList.In(k.era()):
		k.watchCSR(c, r)
		return
	case era.KubeletCSRProbed.In(k.era()) && !strings.Contains(a.URL, "resourceVersion=0"):
		k.relistCSR(c, r)
		return
	}
	list, err := sim.Decode[certv1.CertificateSigningRequestList](sim.Unmanaged(a.data))
	if err != nil {
		k.unsigned(c, r, noWatch+err.Error())
		return
	}
	r.Attempt.Seen = list.ResourceVersion
	for i := range list.Items {
		if k.judge(c, r, "ADDED", &list.Items[i]) {
			return
		}
	}
	k.watchCSR(c, r)
}

// relistCSR is the list of an informer, from the server's cache.
func (k *Kubelet) relistCSR(c *sim.Ctx, r *rotation) {
	k.send(c, "csr.list "+r.Use, r.Attempt.Conn, "GET", k.csrs()+"?fieldSelector="+url.QueryEscape("metadata.name="+r.Attempt.Name)+"&limit=500&resourceVersion=0", nil)
}

// unsigned: a look at the CSR ended without a certificate. The releases that look
// several times look again after a pause, whatever it was.
func (k *Kubelet) unsigned(c *sim.Ctx, r *rotation, why string) {
	pauses := era.KubeletCSRPauses.In(k.era())
	switch {
	case r.Sync || pauses == nil && era.KubeletCSRListed.In(k.era()):
		k.failed(c, r, lineNotSigned, why)
		return
	case pauses == nil:
		k.failed(c, r, lineRefused, why)
		return
	}
	k.stop("overdue "+r.Use, "rewatch "+r.Use)
	k.cancel(c, "csr.watch "+r.Use)
	if why != "" {
		k.logCertError(c, r, lineNoStatusOfCSR, why)
		k.Health.Server = k.Health.Server && r.Use != useClient
	}
	if r.Attempt.Look == len(pauses) {
		k.failed(c, r, lineNotSigned, "timed out waiting for the condition")
		return
	}
	pause := pauses[r.Attempt.Look]
	pause += time.Duration(c.Chance.N(c.Actor()+"/csr-pause", uint64(pause/10)))
	r.Attempt.Look++
	k.after(c, "relook "+r.Use, pause)
}

// watchCSR starts the watch for the CSR's answer; the server ends it after a
// drawn time of 5 to 10 minutes, and then it goes on from what it saw (recorded:
// q-kubelet-timings/08).
func (k *Kubelet) watchCSR(c *sim.Ctx, r *rotation) {
	q := "?"
	if era.ClientBookmarks.In(k.era()) {
		q += "allowWatchBookmarks=true&"
	}
	q += "fieldSelector=" + url.QueryEscape("metadata.name="+r.Attempt.Name)
	switch {
	case r.Attempt.Seen != "":
		q += "&resourceVersion=" + r.Attempt.Seen
	case era.KubeletCSRInformed.In(k.era()):
		q += "&resourceVersionMatch=NotOlderThan&sendInitialEvents=true"
	}
	switch {
	case era.KubeletCSRInformed.In(k.era()):
		seconds := 300 + c.Chance.N(c.Actor()+"/csr-watch", 300)
		q += fmt.Sprintf("&timeout=%s&timeoutSeconds=%d", time.Duration(seconds)*time.Second, seconds)
	case !r.Sync && !era.KubeletCSRListed.In(k.era()):
		q += fmt.Sprintf("&timeoutSeconds=%d", era.KubeletCSRWaits.In(k.era())[0]/time.Second)
	}
	q += "&watch=true"
	k.send(c, "csr.watch "+r.Use, r.Attempt.Conn, "GET", k.csrs()+q, nil)
}

func (k *Kubelet) csrWatched(c *sim.Ctx, a answer) {
	r := k.life(a.arg)
	switch {
	case a.kind == sim.MsgFrame:
		for _, frame := range bytes.Split(bytes.TrimSpace(a.data), []byte("\n")) {
			event, object, ok := sim.OpenFrame(frame)
			if !ok {
				continue
			}
			if event == "ERROR" {
				r.Attempt.Seen = "" // what it saw is too old to go on from
				continue
			}
			csr, err := sim.Decode[certv1.CertificateSigningRequest](sim.Unmanaged(object))
			if err != nil {
				continue
			}
			r.Attempt.Seen = csr.ResourceVersion
			if event != "BOOKMARK" && k.judge(c, r, event, csr) {
				return
			}
		}
	case a.ok() && a.open:
		r.Attempt.Rewatched, r.Attempt.Watching = 0, true
	case !era.KubeletCSRInformed.In(k.era()) && !r.Attempt.Watching:
		k.unsigned(c, r, noWatch+a.err())
	case !era.KubeletCSRInformed.In(k.era()) && !r.Sync && !era.KubeletCSRListed.In(k.era()):
		k.unsigned(c, r, "watch channel closed")
	case !era.KubeletCSRInformed.In(k.era()):
		k.unsigned(c, r, noWatch+"watch closed before Until timeout")
	case a.kind == sim.MsgEnd && a.failure == "":
		k.watchCSR(c, r)
	default:
		k.rewatch(c, r)
	}
}

// rewatch goes on with an informer's watch after a pause.
func (k *Kubelet) rewatch(c *sim.Ctx, r *rotation) {
	d := k.pause(c, "csr-watch-backoff", era.KubeletReflector.In(k.era()), r.Attempt.Rewatched)
	r.Attempt.Rewatched++
	k.after(c, "rewatch "+r.Use, d)
}

// noWatch is what an error of the watch of a CSR begins with.
const noWatch = "cannot watch on the certificate signing request: "

// judge looks at a CSR as the watch shows it and tells whether the wait is
// over. Models k8s.io/client-go/util/certificate/csr WaitForCertificate.
func (k *Kubelet) judge(c *sim.Ctx, r *rotation, event string, csr *certv1.CertificateSigningRequest) bool {
	refuse := func(format string, args ...any) bool {
		why := fmt.Sprintf(format, args...)
		if r.Sync || era.KubeletCSRListed.In(k.era()) {
			why = noWatch + why
		}
		k.unsigned(c, r, why)
		return true
	}
	if csr.Name != r.Attempt.Name {
		return false
	}
	if string(csr.UID) != r.Attempt.UID {
		if !r.Sync && !era.KubeletCSRListed.In(k.era()) {
			return false
		}
		return refuse("csr %q changed UIDs", csr.Name)
	}
	if event == "DELETED" && !era.KubeletCSRDeleted.In(k.era()) {
		return false
	}
	if event == "DELETED" {
		return refuse("csr %q was deleted", csr.Name)
	}
	approved := false
	for _, x := range csr.Status.Conditions {
		switch x.Type {
		case certv1.CertificateDenied:
			return refuse("certificate signing request %s, reason: %v, message: %v", era.KubeletCSRDenied.In(k.era()), x.Reason, x.Message)
		case certv1.CertificateFailed:
			return refuse("certificate signing request failed, reason: %v, message: %v", x.Reason, x.Message)
		case certv1.CertificateApproved:
			approved = x.Status == corev1.ConditionTrue || x.Status == "" || approved
		}
	}
	switch {
	case approved && len(csr.Status.Certificate) > 0:
		k.logCert(c, r, lineIssued, "csr", csr.Name)
		k.store(c, r, csr.Status.Certificate)
		return true
	case approved && !r.Attempt.Approved:
		r.Attempt.Approved = true
		k.logCert(c, r, lineApproved, "csr", csr.Name)
	}
	return false
}

// csrOverdue: the wait for this CSR is over; the CSR itself stays.
func (k *Kubelet) csrOverdue(c *sim.Ctx, r *rotation) {
	if !r.Sync && era.KubeletCSRPauses.In(k.era()) != nil {
		k.unsigned(c, r, "")
		return
	}
	k.failed(c, r, lineNotSigned, "timed out waiting for the condition")
}

// failed ends a try and sets the time of the next: after 2, 4, 8 and 16 s and
// up to a tenth more, then at every 32nd second after the last of those. A
// try that took longer than that is followed by the next at once, as a Go
// ticker keeps one tick. Models the loop of certificate_manager.go.
func (k *Kubelet) failed(c *sim.Ctx, r *rotation, l line, err string) {
	k.leaveCSR(c, r)
	if r.Sync {
		k.cleanBootstrap(c)
		k.die(c, "failed to run Kubelet: "+err)
		return
	}
	k.logCertError(c, r, l, err)
	r.Errors++
	a := &r.Attempt
	b := era.KubeletCSRBackoff.In(k.era())
	poll := era.KubeletCSRPoll.In(k.era())
	var wait time.Duration
	switch {
	case k.Held == r.Use:
		// The loop that backs off begins after it.
		a.Try = 0
	case a.Try < b.Steps:
		wait = k.pause(c, "csr-backoff", b, a.Try-1)
	case a.Try == b.Steps:
		k.logCertError(c, r, lineLimit, "timed out waiting for the condition")
		a.Polling, wait = c.Now, poll
	default:
		since := c.Now.Sub(a.Polling) % poll
		if wait = poll - since; c.Now.Sub(a.Began) >= poll {
			wait = 0
		}
	}
	k.after(c, "rotate "+r.Use, wait)
	phase := PhaseRequesting
	switch {
	case r.valid(c):
		phase = PhaseRotating
	case r.Use == useClient && k.Health.Had:
		phase = PhaseExpired
	}
	k.noteLife(c, r, phase, "csr", a.Name, "try", strconv.Itoa(a.Try), "error", err, "next", stamp(c.Now.Add(wait)), "deadline", r.deadline())
	if k.Held == r.Use {
		k.released(c)
	}
}

// leaveCSR ends what this try still has going on.
func (k *Kubelet) leaveCSR(c *sim.Ctx, r *rotation) {
	k.stop("overdue "+r.Use, "rewatch "+r.Use, "rotate "+r.Use, "relook "+r.Use)
	k.cancel(c, "csr.watch "+r.Use)
}

// send sends a request as the connection's name says; body is sent as JSON.
func (k *Kubelet) send(c *sim.Ctx, owner, conn, method, uri string, body any, headers ...string) {
	h := http.Header{
		"User-Agent": {"kubelet/" + era.KubeletPatch.In(k.era()) + " (linux/amd64) kubernetes/$Format"},
		"Accept":     {"application/json, */*"},
	}
	d := sim.Dial{Addr: address(k.Cluster.Server), ServerName: k.Cluster.ServerName, Roots: k.roots(c, conn), Insecure: k.Cluster.Insecure}
	switch {
	case conn == connBootstrap:
		h.Set("Authorization", "Bearer "+k.Token)
	case k.Client.Cert == nil:
	case conn == connRenewal, !k.gone(c):
		d.Cert, d.Key = k.Client.Cert.Cert, k.Client.Cert.Key
	}
	if conn == connAPI && k.Client.Cert != nil && k.gone(c) {
		k.logCert(c, &k.Client, lineExpired)
	}
	var b []byte
	if body != nil {
		b, _ = sim.Encode(body)
		h.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	stream := c.Send(conn, d, sim.Request{Method: method, URL: uri, Header: h, Body: b})
	k.Streams[stream] = exchange{Owner: owner, Method: method, URL: uri}
}

// gone: the kubelet has no certificate to show, because it has expired.
func (k *Kubelet) gone(c *sim.Ctx) bool {
	return k.Rotate && !k.Client.valid(c) && era.KubeletExpired.In(k.era()) == era.ExpiredGone
}

// roots is who vouches for the API server on a connection. Once the kubelet
// rotates its certificate, the connection for everything is its own work, which
// keeps what was read at the start; on the others, client-go looks at the file
// again at the first request after the interval, and a bad one keeps the last
// good one. Models pkg/kubelet/certificate transport.go addCertRotation and
// k8s.io/client-go/transport ca_rotation.go; recorded: m2/2.
func (k *Kubelet) roots(c *sim.Ctx, conn string) []byte {
	cl := &k.Cluster
	if conn == connAPI && k.Rotate || cl.CAFile == "" || len(cl.CAData) > 0 {
		return cl.Roots
	}
	if cl.Read.IsZero() {
		cl.Read, cl.Again = k.Start, cl.Roots
	}
	if every := era.ClientCAReload.In(k.era()); every == 0 || c.Now.Sub(cl.Read) < every {
		return cl.Again
	}
	cl.Read = c.Now
	data, err := c.Disk.ReadFile(cl.CAFile)
	switch {
	case err != nil:
		k.log(c, lineNoCAFile, "err", err, "caFile", cl.CAFile)
	case len(data) == 0:
		k.log(c, lineEmptyCAFile, "caFile", cl.CAFile)
	case bytes.Equal(data, cl.Again):
		k.log(c, lineSameCAFile, "caFile", cl.CAFile)
	default:
		k.log(c, lineNewCAFile, "caFile", cl.CAFile)
		if _, err := pki.ParseCerts(data); err != nil {
			k.log(c, lineBadCAFile, "err", err, "caFile", cl.CAFile)
			break
		}
		cl.Again = data
		c.CloseConn(conn)
		k.log(c, lineUpdated, "caFile", cl.CAFile)
	}
	return cl.Again
}

// address is the "host:port" of a server's URL.
func address(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return server
	}
	if u.Port() == "" {
		return u.Hostname() + ":443"
	}
	return u.Host
}

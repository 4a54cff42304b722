package kubelet

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/joinery-lab/joinery/engine/sim"
)

// line is a line of the log, by the name that era knows it by: each release has its
// own words for it.
type line string

const (
	lineApproved       line = "approved"
	lineAwaiting       line = "awaiting"
	lineBadCAFile      line = "bad-ca-file"
	lineBadCAs         line = "bad-cas"
	lineBootstrap      line = "bootstrap"
	lineClientCA       line = "client-ca"
	lineCommand        line = "command"
	lineConfCerts      line = "conf-certs"
	lineConfExpired    line = "conf-expired"
	lineConfTLS        line = "conf-tls"
	lineConfUnread     line = "conf-unread"
	lineCreated        line = "created"
	lineDeadline       line = "deadline"
	lineEmptyCAFile    line = "empty-ca-file"
	lineEnabled        line = "enabled"
	lineEnded          line = "ended"
	lineExiting        line = "exiting"
	lineExpired        line = "expired"
	lineForbidden      line = "forbidden"
	lineForcing        line = "forcing"
	lineHTTP           line = "http"
	lineHandshake      line = "handshake"
	lineIssued         line = "issued"
	lineKnown          line = "known"
	lineLimit          line = "limit"
	lineLoading        line = "loading"
	lineLoadingOwnPair line = "loading-own-pair"
	lineLoadingPair    line = "loading-pair"
	lineMissingDNS     line = "missing-dns"
	lineMissingIPs     line = "missing-ips"
	lineNewCAFile      line = "new-ca-file"
	lineNewCAs         line = "new-cas"
	lineNoAccess       line = "no-access"
	lineNoBootstrap    line = "no-bootstrap"
	lineNoCAFile       line = "no-ca-file"
	lineNoFields       line = "no-fields"
	lineNoKey          line = "no-key"
	lineNoLease        line = "no-lease"
	lineNoNode         line = "no-node"
	lineNoNodeIP       line = "no-node-ip"
	lineNoRegister     line = "no-register"
	lineNoRenewal      line = "no-renewal"
	lineNoServer       line = "no-server"
	lineNoStatus       line = "no-status"
	lineNoStatusAtAll  line = "no-status-at-all"
	lineNoStatusOfCSR  line = "unsure"
	lineNotEnded       line = "not-ended"
	lineNotInStore     line = "not-in-store"
	lineNotSigned      line = "not-signed"
	lineNotStored      line = "not-stored"
	lineOtherName      line = "other-name"
	linePairLoaded     line = "pair-loaded"
	lineRefused        line = "refused"
	lineRegister       line = "register"
	lineRegistered     line = "registered"
	lineRequesting     line = "requesting"
	lineReusing        line = "reusing"
	lineRotated        line = "rotated"
	lineRotating       line = "rotating"
	lineRotationOn     line = "rotation-on"
	lineSameCAFile     line = "same-ca-file"
	lineSelfSigned     line = "self-signed"
	lineServerLate     line = "server-late"
	lineServing        line = "serving"
	lineSkipping       line = "skipping"
	lineStandalone     line = "standalone"
	lineStarting       line = "starting"
	lineStillGood      line = "still-good"
	lineStillValid     line = "still-valid"
	lineStopping       line = "stopping"
	lineSync           line = "sync"
	lineTemplate       line = "template"
	lineUnknownClient  line = "unknown-client"
	lineUnresponsive   line = "unresponsive"
	lineUpdated        line = "transport-updated"
	lineVersion        line = "version"
	lineWaiting        line = "waiting"
)

// log writes a line in the words of the release, with what is told beside it: pairs
// of a name and a value.
func (k *Kubelet) log(c *sim.Ctx, l line, kv ...any) {
	form, ok := k.era().KubeletLine(string(l))
	switch {
	case !ok || form.V > k.Flags.V:
	case form.Handled && form.Structured:
		c.LogKV(form.Level, form.V, form.Source, "Unhandled Error", "err", sentence(form.Words, kv), "logger", "UnhandledError")
	case form.Structured && l == lineHandshake:
		c.LogKV(form.Level, form.V, form.Source, sentence(form.Words, kv)) // the log package of Go speaks
	case form.Structured:
		c.LogKV(form.Level, form.V, form.Source, form.Words, kv...)
	case form.Bare:
		c.LogLine('E', 0, sentence(form.Words, kv))
	default:
		c.Log(form.Level, form.V, form.Source, sentence(form.Words, kv))
	}
}

// shown is a line as the log has it, without its head, and from which -v on.
func (k *Kubelet) shown(l line, kv ...any) (text, v string) {
	form, _ := k.era().KubeletLine(string(l))
	if form.Structured {
		return sim.KV(form.Words, kv...), strconv.Itoa(form.V)
	}
	return sentence(form.Words, kv), strconv.Itoa(form.V)
}

// words are those of a line in the release.
func (k *Kubelet) words(l line, kv ...any) string {
	form, _ := k.era().KubeletLine(string(l))
	if form.Structured && !form.Handled {
		return form.Words
	}
	return sentence(form.Words, kv)
}

// sentence puts what is told into its places. The name of a certificate's life has
// the part left out that only structured errors have.
func sentence(words string, kv []any) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(words, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		var name string
		name, words, _ = strings.Cut(rest, "}")
		name, quote := strings.CutSuffix(name, "%q")
		for i := 0; i+1 < len(kv); i += 2 {
			if kv[i] != name {
				continue
			}
			text := plain(kv[i+1])
			if name == "logger" {
				text = strings.TrimSuffix(text, unhandled)
			}
			if quote {
				text = fmt.Sprintf("%q", text)
			}
			b.WriteString(text)
		}
	}
}

// plain is a value as Go prints it.
func plain(v any) string {
	if list, ok := v.(quoted); ok {
		return "[" + strings.Join(list, " ") + "]"
	}
	return fmt.Sprint(v)
}

const unhandled = ".UnhandledError"

// logCert writes a line of a life: it carries the signer's name.
func (k *Kubelet) logCert(c *sim.Ctx, r *rotation, l line, kv ...any) {
	if !r.Sync {
		kv = append([]any{"logger", r.life().signer}, kv...)
	}
	k.log(c, l, kv...)
}

// logCertError writes an error of a life.
func (k *Kubelet) logCertError(c *sim.Ctx, r *rotation, l line, err string) {
	k.log(c, l, "err", err, "logger", r.life().signer+unhandled)
}

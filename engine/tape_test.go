package engine_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

// A tape plays recordings of commands that were typed: each is typed again at
// its number, in one world, and what it leaves behind is compared with the
// recordings that show it. The folder's run tells what else was done:
//
//	before N               the steps from here are done before number N
//	at HOST                who types from here
//	beside COMMAND         what runs beside the next command, from when it begins
//	remember               what stands in /etc/kubernetes/pki: see compareRenewed
//	issue FILE CA FROM UNTIL  a certificate for the key beside it: see issue
//	join FILE TOKEN HASH T a JoinConfiguration for node-k, with the right or a
//	                       wrong hash of the CA; T are its timeouts
//
// and the steps of a run.
type tape struct {
	run
	folder string
	recs   []golden.Recording
	steps  []tapeStep
	host   string
	beside string
	// remembered is what stood in /etc/kubernetes/pki at the step remember.
	remembered map[string]string
	played     map[string]did
}

type tapeStep struct {
	before      int
	where, line string
}

// did is what a command did: what it printed, its status, and the calls of
// API servers that it made.
type did struct {
	stdout, stderr, status string
	calls                  []string
}

// tapeForms are how recordings are compared.
var tapeForms = map[string]func(t *testing.T, p *tape, rec golden.Recording){
	"typed": compareTyped, "listing": compareListing, "files": compareFiles, "certificate": compareCertificate, "key": compareKey,
	"request": compareRequest, "kubeconfig": compareKubeconfig, "answer": compareAnswer, "object": compareObject, "calls": compareCalls,
	"rows": compareRows, "renewed": compareRenewed, "pins": comparePins, "node": compareNode, "nodes": compareNodes, "shown": func(t *testing.T, p *tape, rec golden.Recording) { p.compare(t, rec) },
}

// form is a claim's word, and the number after which the recording was made.
func form(rec golden.Recording) (string, int) {
	word, n, ok := strings.Cut(rec.Form, " @")
	if !ok {
		return word, rec.Number
	}
	number, _ := strconv.Atoi(n)
	return word, number
}

func newTape(t *testing.T, folder string, recs []golden.Recording) *tape {
	t.Helper()
	p := &tape{folder: folder, recs: recs, host: "node-1", played: map[string]did{}}
	file := filepath.Join("testdata/runs", folder+".txt")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	before := 0
	for n, line := range strings.Split(strings.ReplaceAll(string(b), "\n\t", "\x00"), "\n") {
		line = strings.ReplaceAll(line, "\x00", "\n")
		if number, ok := strings.CutPrefix(line, "before "); ok {
			before, err = strconv.Atoi(number)
			require.NoError(t, err, line)
		} else if line != "" && line[0] != '#' {
			p.steps = append(p.steps, tapeStep{before, file + ", step " + strconv.Itoa(n+1) + ": " + line, line})
		}
	}
	return p
}

// play compares one recording; what was typed up to its number is typed first.
func (p *tape) play(t *testing.T, rec golden.Recording) {
	word, number := form(rec)
	for _, r := range p.recs {
		if w, n := form(r); w == "typed" && n <= number {
			p.perform(t, r)
		}
	}
	p.until(t, number)
	tapeForms[word](t, p, rec)
}

// until does the steps that come before a number.
func (p *tape) until(t *testing.T, number int) {
	t.Helper()
	for len(p.steps) > 0 && p.steps[0].before <= number {
		s := p.steps[0]
		p.steps = p.steps[1:]
		word, rest, _ := strings.Cut(s.line, " ")
		switch word {
		case "at":
			p.host = rest
		case "beside":
			p.beside = rest
		case "remember":
			p.remembered = p.renewable(t)
		case "issue":
			p.issue(t, s.where, strings.Fields(rest))
		case "join":
			p.join(t, s.where, strings.SplitN(rest, " ", 4))
		default:
			p.step(t, s.where, s.line)
		}
	}
}

// join writes what join is told.
func (p *tape) join(t *testing.T, where string, args []string) {
	t.Helper()
	b, err := p.w.Disk("admin").ReadFile("/etc/kubernetes/pki/ca.crt")
	require.NoError(t, err, where)
	ca, err := pki.ParseCerts(b)
	require.NoError(t, err, where)
	pin := pki.Pin(ca[0])
	if args[2] == "wrong" {
		pin = "sha256:" + strings.Repeat("0", 64)
	}
	p.write(t, where, p.host, args[0], fmt.Sprintf(joinYAML, args[1], pin, args[1], args[3]))
}

const joinYAML = `apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken: {token: %s, apiServerEndpoint: "10.0.0.10:6443", caCertHashes: ["%s"]}
  tlsBootstrapToken: %s
nodeRegistration: {name: node-k, criSocket: "unix:///etc/kubernetes/cri.sock"}
timeouts: %s
`

// blocks are the commands of a recording, each with what it did.
var blocks = regexp.MustCompile(`(?ms)^\$ (.*?)\n--- stdout\n(.*?)--- stderr\n(.*?)--- exit status (\d+)$`)

// perform types the commands of a recording, once.
func (p *tape) perform(t *testing.T, rec golden.Recording) {
	t.Helper()
	if _, done := p.played[rec.File]; done {
		return
	}
	p.until(t, rec.Number)
	m := blocks.FindAllStringSubmatch(rec.Text(t), -1)
	require.Len(t, m, 1, "%s has another form than one command", rec.Name())
	line := strings.ReplaceAll(m[0][1], "127.0.0.1:16443", "10.0.0.10:6443")
	// The recorder wrote the arguments down without quotes.
	line = regexp.MustCompile(`--description=(.*)$`).ReplaceAllString(line, `--description="$1"`)
	if p.beside != "" {
		line, p.beside = "("+p.beside+") > /dev/null & "+line, ""
	}
	obs, err := p.w.Say(p.host, line, 20*time.Minute)
	require.NoError(t, err)
	p.obs = append(p.obs, obs...)
	var got did
	got.stdout, got.stderr, got.status = printed(obs)
	got.status = cmp.Or(got.status, "none")
	asked, users := map[uint64]string{}, map[uint64]string{}
	for _, o := range obs {
		switch {
		case o.Kind == trace.Request && o.Actor == p.host+"/terminal" && strings.HasPrefix(o.Args["agent"], "kubeadm/"):
			asked[o.ID] = strings.ToLower(o.Subject)
		case o.Kind == trace.Authn && o.Args["verdict"] != "no":
			users[o.Cause] = o.Subject
		case o.Kind == trace.Response && asked[o.Cause] != "":
			got.calls = append(got.calls, asked[o.Cause]+" "+users[o.Cause]+" "+o.Args["code"])
		}
	}
	p.played[rec.File] = got
}

// of is what the command of a number did.
func (p *tape) of(t *testing.T, number int) did {
	t.Helper()
	for _, r := range p.recs {
		if w, n := form(r); w == "typed" && n == number {
			return p.played[r.File]
		}
	}
	require.Fail(t, "no command was typed", "number %d of %s", number, p.folder)
	return did{}
}

func compareTyped(t *testing.T, p *tape, rec golden.Recording) {
	m := blocks.FindStringSubmatch(rec.Text(t))
	got := p.played[rec.File]
	require.Equal(t, plainSaid(t, m[3]), plainSaid(t, got.stderr), "stderr")
	require.Equal(t, plainSaid(t, m[2]), plainSaid(t, got.stdout), "stdout")
	require.Equal(t, m[4], got.status)
}

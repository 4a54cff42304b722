package controllers

import (
	"fmt"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// kind is how a sort of controller works on a name from its queue.
type kind struct {
	// begin starts the work, answered goes on with an answer; one of them ends
	// it with finish.
	begin    func(m *ControllerManager, c *sim.Ctx, l *loop)
	answered func(m *ControllerManager, c *sim.Ctx, l *loop, a answer)
	// finished and failed write the log.
	finished func(m *ControllerManager, c *sim.Ctx, name string, took time.Duration)
	failed   func(m *ControllerManager, c *sim.Ctx, l *loop, name string, f *failure)
	retry    *era.Row[era.Backoff]
	// workers is how many names are at work at once, nil for one.
	workers *era.Row[int]
	// needs are the feeds that must have brought all there is before it works.
	needs []string
}

const (
	kindApprove         = "approve"
	kindSign            = "sign"
	kindTokenCleaner    = "token-cleaner"
	kindBootstrapSigner = "bootstrap-signer"
	kindRootCA          = "root-ca"
	kindDefaultAccount  = "default-account"
	kindAccountToken    = "account-token"
	kindSeatToken       = "seat-token"
	kindCSRApprover     = "csr-approver"
	kindServingApprover = "serving-approver"
	kindNamespace       = "namespace"
	kindAggregation     = "aggregation"
	kindGarbage         = "garbage"
	kindNodeTaint       = "node-taint"
	kindNodeHealth      = "node-health"
	kindNodeEvict       = "node-evict"
)

// nodeFeeds are what the controller of nodes needs to know.
var nodeFeeds = []string{"leases", "nodes", "pods"}

var kinds map[string]kind

func init() {
	type manager = ControllerManager
	kinds = map[string]kind{
		kindApprove:         {(*manager).beginCSR, (*manager).reviewed, (*manager).csrFinished, (*manager).csrFailed, &era.CSRRetry, &era.CSRWorkers, []string{"csrs"}},
		kindSign:            {(*manager).beginCSR, (*manager).signed, (*manager).csrFinished, (*manager).csrFailed, &era.CSRRetry, &era.CSRWorkers, []string{"csrs"}},
		kindTokenCleaner:    {(*manager).cleanToken, (*manager).tokenCleaned, (*manager).tokenFinished, unhandled("tokencleaner.go:158", "Sync %s failed with : %s"), &era.ControllerRetry, nil, []string{"secrets"}},
		kindBootstrapSigner: {(*manager).signInfo, (*manager).infoSigned, nil, unhandled("bootstrapsigner.go:208", "%s: %s"), &era.ControllerRetry, nil, []string{"secrets", "configmaps"}},
		kindRootCA:          {(*manager).publish, (*manager).published, nil, unhandled("publisher.go:183", "syncing %q failed: %s"), &era.ControllerRetry, nil, []string{"configmaps"}},
		kindDefaultAccount:  {(*manager).ensureDefault, (*manager).defaultMade, (*manager).namespaceFinished, unhandled("serviceaccounts_controller.go:177", "%s failed with : %s"), &era.ControllerRetry, nil, []string{"serviceaccounts", "namespaces"}},
		kindNamespace:       {(*manager).endNamespace, (*manager).namespaceEnds, nil, unhandled("namespace_controller.go:164", "deletion of namespace %s failed: %s"), &era.ControllerRetry, nil, []string{"namespaces"}},
		kindAggregation:     {(*manager).aggregate, (*manager).aggregated, nil, unhandled("clusterroleaggregation_controller.go:225", "%s failed with : %s"), &era.ControllerRetry, &era.AggregationWorkers, []string{"clusterroles"}},
		kindGarbage:         {(*manager).collect, (*manager).collected, nil, unhandled("garbagecollector.go:361", "error syncing item %s: %s"), &era.ControllerRetry, &era.CollectorWorkers, []string{"secrets"}},
		kindAccountToken:    {(*manager).fillToken, (*manager).tokenFilled, nil, (*manager).tokenFillFailed, &era.ControllerRetry, nil, []string{"secrets", "serviceaccounts"}},
		kindSeatToken:       {(*manager).ensureToken, (*manager).tokenEnsured, nil, (*manager).seatFailed, &era.ControllerRetry, nil, []string{"secrets", "serviceaccounts"}},
		kindCSRApprover:     {(*manager).judgeCSR, (*manager).judged, nil, (*manager).reconcilerError, &era.ControllerRetry, nil, []string{"csrs"}},
		kindServingApprover: {(*manager).readServing, (*manager).serving, nil, (*manager).reconcilerError, &era.ControllerRetry, nil, []string{"csrs"}},
		kindNodeTaint:       {(*manager).taintNode, (*manager).swapped, nil, nil, &era.ControllerRetry, &era.NodeWorkers, nodeFeeds},
		kindNodeHealth:      {(*manager).beginHealth, (*manager).healthAnswered, nil, nil, &era.ControllerRetry, &era.NodeWorkers, nodeFeeds},
		kindNodeEvict:       {(*manager).evictNode, (*manager).swapped, nil, nil, &era.ControllerRetry, nil, nodeFeeds},
	}
}

// unhandled writes a failure as utilruntime.HandleError does.
func unhandled(source, format string) func(*ControllerManager, *sim.Ctx, *loop, string, *failure) {
	return func(m *ControllerManager, c *sim.Ctx, _ *loop, name string, f *failure) {
		m.unhandled(c, source, fmt.Sprintf(format, name, f.text))
	}
}

// ask sends a request about the name at work.
func (m *ControllerManager) ask(c *sim.Ctx, l *loop, method, uri string, body any) {
	m.send(c, m.Clients[l.Client], exchange{To: "loop", Index: l.Index, Name: l.Busy, Fold: m.rests(l)}, method, uri, body)
}

// each enqueues a name with every loop of a kind.
func (m *ControllerManager) each(c *sim.Ctx, kind, name string) {
	for _, l := range m.Loops {
		if l.Kind == kind {
			m.enqueue(c, l, name)
		}
	}
}

// beginCSR looks at a CSR. Models
// pkg/controller/certificates/certificate_controller.go.
func (m *ControllerManager) beginCSR(c *sim.Ctx, l *loop) {
	csr := m.CSRs[l.Busy]
	switch {
	case csr == nil:
		m.say(c, &era.LineCSRGone, l.Busy)
		m.finish(c, l, nil)
		return
	case len(csr.Status.Certificate) > 0:
		// Nothing is left to do.
		m.finish(c, l, nil)
		return
	}
	l.Work.Object = csr
	if l.Kind == kindSign {
		m.sign(c, l)
	} else {
		m.approve(c, l)
	}
}

func (m *ControllerManager) csrFinished(c *sim.Ctx, name string, took time.Duration) {
	m.say(c, &era.LineCSRSynced, name, took)
}

func (m *ControllerManager) csrFailed(c *sim.Ctx, _ *loop, name string, f *failure) {
	if f.ignorable && era.CSRIgnorable.In(m.era()) {
		m.say(c, &era.LineCSRIgnored, name, f.text)
		return
	}
	l := era.LineCSRFailed.In(m.era())
	m.unhandled(c, l.At, fmt.Sprintf(l.Text, name, f.text))
}

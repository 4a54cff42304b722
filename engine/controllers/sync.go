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
	// workers is how many names are at work at once, 0 for one.
	workers int
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
	kindCSRApprover     = "csr-approver"
	kindServingApprover = "serving-approver"
	kindNamespace       = "namespace"
	kindAggregation     = "aggregation"
	kindGarbage         = "garbage"
)

// csrWorkers is how many CSRs the approver, and each signer, has at work at
// once. Models cmd/kube-controller-manager/app/certificates.go: Run(ctx, 5).
const csrWorkers = 5

// aggregationWorkers models cmd/kube-controller-manager/app/rbac.go: Run(ctx, 5).
const aggregationWorkers = 5

var kinds map[string]kind

func init() {
	type manager = ControllerManager
	kinds = map[string]kind{
		kindApprove:         {(*manager).beginCSR, (*manager).reviewed, (*manager).csrFinished, (*manager).csrFailed, &era.CSRRetry, csrWorkers, []string{"csrs"}},
		kindSign:            {(*manager).beginCSR, (*manager).signed, (*manager).csrFinished, (*manager).csrFailed, &era.CSRRetry, csrWorkers, []string{"csrs"}},
		kindTokenCleaner:    {(*manager).cleanToken, (*manager).tokenCleaned, (*manager).tokenFinished, unhandled("tokencleaner.go:158", "Sync %s failed with : %s"), &era.ControllerRetry, 1, []string{"secrets"}},
		kindBootstrapSigner: {(*manager).signInfo, (*manager).infoSigned, nil, unhandled("bootstrapsigner.go:208", "%s: %s"), &era.ControllerRetry, 1, []string{"secrets", "configmaps"}},
		kindRootCA:          {(*manager).publish, (*manager).published, nil, unhandled("publisher.go:183", "syncing %q failed: %s"), &era.ControllerRetry, 1, []string{"configmaps"}},
		kindDefaultAccount:  {(*manager).ensureDefault, (*manager).defaultMade, (*manager).namespaceFinished, unhandled("serviceaccounts_controller.go:177", "%s failed with : %s"), &era.ControllerRetry, 1, []string{"serviceaccounts", "namespaces"}},
		kindNamespace:       {(*manager).endNamespace, (*manager).namespaceEnds, nil, unhandled("namespace_controller.go:164", "deletion of namespace %s failed: %s"), &era.ControllerRetry, 1, []string{"namespaces"}},
		kindAggregation:     {(*manager).aggregate, (*manager).aggregated, nil, unhandled("clusterroleaggregation_controller.go:225", "%s failed with : %s"), &era.ControllerRetry, aggregationWorkers, []string{"clusterroles"}},
		kindGarbage:         {(*manager).collect, (*manager).collected, nil, unhandled("garbagecollector.go:361", "error syncing item %s: %s"), &era.ControllerRetry, 20, []string{"secrets"}},
		kindAccountToken:    {(*manager).fillToken, (*manager).tokenFilled, nil, (*manager).tokenFillFailed, &era.ControllerRetry, 1, []string{"secrets", "serviceaccounts"}},
		kindCSRApprover:     {(*manager).judgeCSR, (*manager).judged, nil, (*manager).reconcilerError, &era.ControllerRetry, 1, []string{"csrs"}},
		kindServingApprover: {(*manager).readServing, (*manager).serving, nil, (*manager).reconcilerError, &era.ControllerRetry, 1, []string{"csrs"}},
	}
}

// unhandled writes a failure as utilruntime.HandleError does.
func unhandled(source, format string) func(*ControllerManager, *sim.Ctx, *loop, string, *failure) {
	return func(m *ControllerManager, c *sim.Ctx, _ *loop, name string, f *failure) {
		m.log(c, 'E', 0, source, "Unhandled Error", "err", fmt.Sprintf(format, name, f.text), "logger", "UnhandledError")
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
		m.log(c, 'I', 3, "certificate_controller.go:187", "csr has been deleted", "csr", l.Busy)
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
	m.log(c, 'I', 4, "certificate_controller.go:183", "Finished syncing certificate request", "csr", name, "elapsedTime", took)
}

func (m *ControllerManager) csrFailed(c *sim.Ctx, _ *loop, name string, f *failure) {
	if f.ignorable {
		m.log(c, 'I', 4, "certificate_controller.go:160", "Sync certificate request failed", "csr", name, "err", f.text)
	} else {
		m.log(c, 'E', 0, "certificate_controller.go:158", "Unhandled Error", "err", fmt.Sprintf("Sync %s failed with : %s", name, f.text), "logger", "UnhandledError")
	}
}

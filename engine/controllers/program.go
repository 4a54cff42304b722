package controllers

import (
	"errors"

	"path"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// program is a manager of controllers that is not Kubernetes' own: an approver
// of kubelets' serving certificates, as people run one. It is built on
// sigs.k8s.io/controller-runtime: a watch, a work queue with one worker, and no
// limit of requests a second.
type program struct {
	// user is what its requests say they are from.
	user  string
	start func(m *ControllerManager, c *sim.Ctx)
}

var programs map[string]program

func init() {
	programs = map[string]program{
		csrApprover:     {"kubelet-csr-approver/v1.2.14 (linux/amd64) kubernetes/$Format", (*ControllerManager).startCSRApprover},
		servingApprover: {"kubelet-serving-cert-approver/v0.9.3 (linux/amd64) kubernetes/$Format", (*ControllerManager).startServingApprover},
	}
}

// Programs are the names of the approvers that NewProgram knows.
func Programs() []string { return []string{csrApprover, servingApprover} }

// NewProgram returns an approver that is started with the command line args,
// without the program's name, and an environment. What it does not take it tells
// when it starts.
func NewProgram(e era.Era, name string, args []string, env map[string]string) *ControllerManager {
	return &ControllerManager{Release: e.String(), Program: name, Args: args, Env: env, Flags: Flags{QPS: -1}}
}

// prints writes a line that is no log, and ends the process.
func (m *ControllerManager) prints(c *sim.Ctx, code int, line string) {
	c.LogLine('E', 0, line)
	c.Exit(code)
}

// clusterConfig reads a kubeconfig where controller-runtime looks for one.
// Models sigs.k8s.io/controller-runtime/pkg/client/config GetConfig.
func (m *ControllerManager) clusterConfig(c *sim.Ctx, flag string) error {
	for _, file := range []string{flag, m.Env["KUBECONFIG"], path.Join(home(m.Env), ".kube/config")} {
		if file == "" {
			continue
		}
		if _, err := c.Disk.Stat(file); err != nil && file != flag {
			continue
		}
		id, err := readIdentity(c.Disk, file, m.Program)
		m.Own = id
		return err
	}
	return errors.New("invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable")
}

func home(env map[string]string) string {
	if h := env["HOME"]; h != "" {
		return h
	}
	return "/root"
}

// requeue is a failure after which a name is put back without a word.
const requeue = "requeue"

// stepped is what controller-runtime says of a failed reconciliation.
func (m *ControllerManager) reconcilerError(c *sim.Ctx, _ *loop, name string, f *failure) {
	if f.text == requeue {
		return
	}
	z := m.zap(c, "ERROR", "controller/controller.go:474", "Reconciler error")
	if m.Program == servingApprover {
		z.logger = "ctrllog"
	}
	z.add(csrFields(c, name)...).add("error", f.text).write(c)
}

// csrFields are what controller-runtime's logger of one reconciliation has with it.
func csrFields(c *sim.Ctx, name string) []any {
	return []any{"controller", "certificatesigningrequest", "controllerGroup", "certificates.k8s.io", "controllerKind", "CertificateSigningRequest",
		"CertificateSigningRequest", map[string]string{"name": name}, "namespace", "", "name", name, "reconcileID", c.Chance.UUID(c.Actor() + "/reconcile")}
}

// began tells that the only controller of a program runs.
func (m *ControllerManager) began(c *sim.Ctx) {
	kv := []any{"controller", "certificatesigningrequest", "controllerGroup", "certificates.k8s.io", "controllerKind", "CertificateSigningRequest"}
	for _, msg := range []string{"Starting EventSource", "Starting Controller"} {
		z := m.zap(c, "INFO", "controller/controller.go:186", msg)
		if msg == "Starting EventSource" {
			z.add(append(kv, "source", "kind source: *v1.CertificateSigningRequest")...)
		} else {
			z.add(kv...)
		}
		z.write(c)
	}
	m.addFeed(c, "csrs", m.csrs())
}

// runProgram is a program after it leads, if it has to.
func (m *ControllerManager) runProgram(c *sim.Ctx) {
	kind := kindCSRApprover
	if m.Program == servingApprover {
		kind = kindServingApprover
	}
	m.loop(&loop{Name: "certificatesigningrequest", Kind: kind, Controller: m.Program}, m.own())
	m.began(c)
}

// fatal writes a line of zap's level FATAL, which ends the process with 1.
func (m *ControllerManager) fatal(c *sim.Ctx, caller, msg string, kv ...any) {
	m.zap(c, "FATAL", caller, msg).add(kv...).write(c)
	c.Exit(1)
}

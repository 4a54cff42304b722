package engine

import "time"

// ViewVersion is the format version of View.
const ViewVersion = 1

// View is a world at one moment, as a plain value: what a desk draws besides
// the Observations. Lists are sorted by name.
type View struct {
	V       int       `json:"v"`
	Now     time.Time `json:"now"`
	Release string    `json:"release"`
	Seed    string    `json:"seed"`
	// Digest is that of all Observations so far, Last the ID of the last.
	Digest string `json:"digest"`
	Last   uint64 `json:"last"`
	// Next is when something will happen by itself; zero when nothing will.
	Next time.Time `json:"next,omitzero"`

	Hosts    []HostView    `json:"hosts"`
	CSRs     []CSRView     `json:"csrs"`
	Nodes    []NodeView    `json:"nodes"`
	Bindings []BindingView `json:"bindings"`
	Lives    []LifeView    `json:"lives"`
	// Trust is who trusts whom, where somebody asks for it.
	Trust *Trust `json:"trust,omitempty"`
	// Faults are the names of those that are set.
	Faults []string `json:"faults,omitempty"`
}

// HostView is a machine. Role is "control", "admin" or "node".
type HostView struct {
	Name  string     `json:"name"`
	IP    string     `json:"ip"`
	Role  string     `json:"role"`
	Clock time.Time  `json:"clock"`
	Units []UnitView `json:"units"`
	Files []FileView `json:"files"`
	// Busy: a command is running in the host's terminal. Dir is where it is.
	Busy bool `json:"busy,omitempty"`
	// Why explains how far a node is, and elsewhere a unit that failed, in a world
	// of a few.
	Why *Explanation `json:"why,omitempty"`
	Dir string       `json:"dir,omitempty"`
}

// UnitView is a systemd unit. State is "active", "inactive" or "failed".
type UnitView struct {
	Name  string    `json:"name"`
	State string    `json:"state"`
	Since time.Time `json:"since,omitzero"`
	PID   int       `json:"pid,omitempty"`
	// Flags are those of its command line, without dashes.
	Flags map[string]string `json:"flags,omitempty"`
	// Phase is the last phase that its actor noted, with its arguments
	// (identity, next, deadline, try, error …).
	Phase     string            `json:"phase,omitempty"`
	PhaseArgs map[string]string `json:"phaseArgs,omitempty"`
}

// FileView is a file, directory or link. Text is the content of a text file of
// at most 16 KiB; Mode is as ls prints it.
type FileView struct {
	Path   string    `json:"path"`
	Mode   string    `json:"mode"`
	Size   int       `json:"size"`
	Time   time.Time `json:"time"`
	Target string    `json:"target,omitempty"`
	Text   string    `json:"text,omitempty"`
}

// CSRView is a CertificateSigningRequest. Condition is as kubectl prints it
// ("Pending", "Approved,Issued"). Request and Certificate are PEM.
type CSRView struct {
	Name        string    `json:"name"`
	Created     time.Time `json:"created"`
	Signer      string    `json:"signer"`
	Requestor   string    `json:"requestor"`
	Groups      []string  `json:"groups,omitempty"`
	Usages      []string  `json:"usages,omitempty"`
	Expiration  *int32    `json:"expiration,omitempty"`
	Condition   string    `json:"condition"`
	Reason      string    `json:"reason,omitempty"`
	Message     string    `json:"message,omitempty"`
	Request     string    `json:"request"`
	Certificate string    `json:"certificate,omitempty"`
	// Why explains one that is not issued.
	Why *Explanation `json:"why,omitempty"`
}

// NodeView is a Node object. Status is as kubectl prints it ("Ready").
type NodeView struct {
	Name    string    `json:"name"`
	Status  string    `json:"status"`
	Created time.Time `json:"created"`
	IP      string    `json:"ip,omitempty"`
}

// BindingView is a ClusterRoleBinding that Kubernetes did not create itself.
// Subjects are "Group name", "User name" or "ServiceAccount ns/name".
type BindingView struct {
	Name     string   `json:"name"`
	Role     string   `json:"role"`
	Subjects []string `json:"subjects"`
}

// LifeView is the life of a certificate that a kubelet holds: Use is "client"
// or "serving". Deadline is when that kubelet will rotate it.
type LifeView struct {
	Host      string    `json:"host"`
	Use       string    `json:"use"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	Deadline  time.Time `json:"deadline,omitzero"`
	Path      string    `json:"path"`
	Current   bool      `json:"current"`
}

// Package controllers is kube-controller-manager as far as certificates and
// tokens go: the approver and the signers of CertificateSigningRequests, their
// cleaner, the cleaner of bootstrap tokens and the signer of cluster-info, the
// publisher of the root CA, the default ServiceAccount of every namespace, the
// tokens of Secrets and the union of aggregated ClusterRoles (aggregate.go); and the
// controller of nodes, which says of those that are silent that they are not ready
// (life.go, health.go, taint.go). They see the cluster through the API only.
//
// Start (start.go): the flags are read and checked, the Lease is won
// (elect.go), the API server is healthy, the ServiceAccounts are there
// (account.go), all controllers can be built; then they run. Each of these may
// end the process, in its words.
//
// Each controller is a loop with workers and a queue of names (loop.go);
// what it does with a name is its kind's (sync.go). A watch fills the caches
// and the queues (informer.go, caches.go); a name that fails is put back after
// a pause that doubles, up to 1000 s. That back-off is what a person sees who
// grants a permission late: the CSR is approved at the next try.
//
// What differs by release is in engine/era: facts in controllers_csr.go and
// controllers_start.go, lines of the log in controllers_lines.go (say). Up to 1.16
// certificates are cfssl's (sign.go); up to 1.23 every ServiceAccount has a Secret with
// a token, which the other controllers act with (seattoken.go); before 1.35 a feed
// begins with a list.
//
// Each controller has its own client with its own limit of requests a second
// (client.go).
//
// What it decides is noted as trace.Decision with the object's name, such as
// "csr/csr-x7k2p", and {controller, verdict, reason, message}; the verdict is
// approved, issued, failed, waits, deleted, signed, published, created or aggregated. A
// controller with nothing to do asks for nothing.
//
// Accepted but not simulated: every other controller that --controllers may
// name, the manager's own port, metrics.
package controllers

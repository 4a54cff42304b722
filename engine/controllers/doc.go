// Package controllers is kube-controller-manager as far as certificates go: the
// approver and the signers of CertificateSigningRequests, their cleaner, and
// the cleaner of bootstrap tokens. They see the cluster through the API only.
//
// Each controller is a loop with one worker and a queue of names (loop.go). A
// watch fills the queues (informer.go); a name that fails is put back after 200 ms
// times 2^n, up to 1000 s. That back-off is what a person sees who grants a
// permission late: the CSR is approved at the next try.
//
// What it decides is noted as trace.Decision with the object's name, such as
// "csr/csr-x7k2p", and {controller, verdict, reason, message}; the verdict is
// approved, issued, failed, waits or deleted. A controller with nothing to do
// asks for nothing.
//
// Accepted but not simulated: every other controller that --controllers may
// name, leader election, metrics.
package controllers

// Package kubelet is the kubelet of one node, as far as its identity goes: it
// gets a client certificate with a bootstrap token, registers its Node, keeps
// its Lease, and rotates the certificate.
//
// It is a machine with named phases, each noted as a trace.Phase:
//
//	starting ──► requesting ──► pending ──► issued ──► joined
//	                 ▲  │           │                    │  ▲
//	                 └──┴─ refused, denied, deleted,     │  │ stored, noticed,
//	                       or 15 min without an answer   ▼  │ registered
//	                                                  rotating
//	                                                     │ never signed
//	 exited ◄── 5 min without a valid certificate ◄── expired
//
// Starting with a valid certificate leads straight to joined. Two things run
// beside each other, as in a real kubelet: the certificate (request.go,
// rotation.go, store.go), and everything else that asks the API server (node.go,
// lease.go, reflect.go), which acts as system:anonymous until the first
// certificate is there.
//
// # What is folded
//
// A kubelet that nothing happens to must cost nothing, so:
//
//   - A Lease renewal is sent once, with the header Joinery-Fold; the API server
//     answers as if it came every 10 s. The status update of every 5 min, which
//     changes nothing but a heartbeat time, is left out.
//   - Watches last for 68 years: they live as long as their connection. Only the
//     watch of a CSR ends after the recorded 5 to 10 minutes.
//   - What was refused for 5 minutes without a break rests until the credentials
//     change or the server is heard of again; only the Lease is still tried,
//     once in 10 minutes.
//   - What the server does not know (404) or does not understand (400) is not
//     asked for again.
//   - The line "No valid client certificate is found but the server is not
//     responsive …", which a real kubelet writes once per second (once per 10 s
//     when it had a certificate before), is written ten times like that and
//     then once in 10 minutes.
//
// The certificate itself is never folded: its tries come when the real ones do.
package kubelet

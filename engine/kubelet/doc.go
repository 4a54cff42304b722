// Package kubelet is the kubelet of one node, as far as its identity goes: it
// gets a client certificate with a bootstrap token, registers its Node, keeps
// its Lease, rotates the certificate, and serves its port with another one.
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
// # The other bootstrap
//
// A kubelet with rotateCertificates: false (sync.go) asks for its certificate
// before it does anything else. It waits a minute at most until the server
// answers to /healthz, makes one CSR whose name is a digest of its key and of what
// is asked for, and waits an hour for it. The key is in kubelet-client.key.tmp
// until then, so a restart finds the same CSR again. Whatever goes wrong ends the
// process; nothing is tried twice but by whoever starts it again.
//
// # The port
//
// Port 10250 (port.go, serve.go) presents one of three certificates: a pair that
// the kubelet makes itself and nobody trusts (kubelet.crt), a pair from files, or,
// with serverTLSBootstrap, one that the cluster signs. The last lives the same
// life as the client certificate (serving.go, rotation.go): it is asked for once
// the watch of the Node shows the node's addresses, and again when they change;
// while there is none, or it has expired, every handshake fails with "tls:
// internal error". Who comes is known by a certificate of clientCAFile or by a
// token that the API server reviews, and what they may do is asked of the API
// server; both answers are remembered for a while. Port 10255 asks nobody, and
// 10248 only knows /healthz.
//
// # What is read again
//
// clientCAFile and the pair of the port are taken into use as soon as they change.
// The CA of the kubeconfig is not: the connection for everything is the kubelet's
// own work and keeps what it read at the start. The connections of client-go look
// at it again every five minutes: those on which certificates are asked for, and
// all of a kubelet that does not rotate (request.go roots).
//
// # What is folded
//
// A kubelet that nothing happens to must cost nothing, so:
//
//   - A Lease renewal is sent once, with the header Joinery-Fold; the API server
//     answers as if it came every 10 s. The status update of every 5 min, which
//     changes nothing but a heartbeat time, is left out.
//   - Watches last for 68 years: they live as long as their connection. Only the
//     watch of a CSR ends after the recorded 5 to 10 minutes, and goes on from the
//     version that it saw.
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

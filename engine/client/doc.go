// Package client is everyone else who trusts a CA and calls the API: the
// scheduler, kube-proxy, CoreDNS, metrics-server, a pod.
//
// They are one machine, Client, told apart by a row of a table (program.go): how
// it finds the API server, what it trusts and shows there, when it reads these
// files again, what it watches, what it prints, when it gives up.
//
//   - access.go: the API server's address, the trust bundle and the identity,
//     from a kubeconfig or from a pod's volume, and when each is read again.
//   - mount.go: the kubelet's part for a pod: the volume with the cluster's CA
//     and the ServiceAccount's token, which changes under a running process.
//   - reflect.go: lists and watches, and the waits between tries.
//   - elect.go: the lease of whoever leads.
//   - scrape.go, serve.go: metrics-server, a client of kubelets and a server
//     behind the API server.
//
// A client that is content makes no steps: its watches last as long as their
// connections, its lease is folded, its scrapes are worked out when somebody
// asks for them. One that is refused tries again with client-go's back-off; after
// five minutes of that it rests: it tries seldom, and at once when a file that it
// reads, its host's clock or its connection changes. A real one goes on for ever.
package client

// Package api is kube-apiserver and what it keeps in etcd: authentication,
// authorization, admission, validation, storage and watches of the resources
// that a joining node needs.
//
// A request takes one way, Server.ServeHTTP: who is it (authn*.go), may they
// (authz*.go), what is meant (decode.go), do the plugins agree (admit.go), is it
// valid (validate*.go), and then the Store. Each of these decisions leaves a
// trace observation with its reason. Resources are rows in a registry
// (resources.go); only CertificateSigningRequests have rules of their own
// (csr*.go).
//
// The Store is the world's, not the server's: it survives the process, and
// several servers may stand on one.
package api

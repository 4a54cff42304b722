package era

import "time"

// Reload is how a program takes up a change in a file: not before it begins anew,
// or by itself within some time, 0 being at once.
type Reload struct {
	ByItself bool
	Within   time.Duration
}

// What of the files of certificates and CAs is read again by itself.
var (
	// ServingReload is that of kube-apiserver's --client-ca-file,
	// --requestheader-client-ca-file and serving pair.
	ServingReload = row("apiserver/trust-reload",
		Fact[Reload]{Since: "1.17", Value: Reload{true, time.Minute}, Source: "apiserver/pkg/server/dynamiccertificates dynamic_cafile_content.go, dynamic_serving_content.go"},
		Fact[Reload]{Since: "1.23", Value: Reload{true, 0}, Source: "the same with fsnotify; recorded: j2, m"})
	// SigningReload is that of kube-controller-manager's signing files.
	SigningReload = row("controllers/signing-reload",
		Fact[Reload]{Since: "1.18", Value: Reload{true, time.Minute}, Source: "pkg/controller/certificates/signer ca_provider.go"},
		Fact[Reload]{Since: "1.23", Value: Reload{true, 0}, Source: "the same with fsnotify; recorded: o"})
	// KubeletClientCAReload is that of a kubelet's clientCAFile.
	KubeletClientCAReload = row("kubelet/client-ca-reload",
		Fact[Reload]{Since: "1.17", Value: Reload{true, time.Minute}, Source: "apiserver/pkg/server/dynamiccertificates dynamic_cafile_content.go"},
		Fact[Reload]{Since: "1.23", Value: Reload{true, 0}, Source: "the same with fsnotify; recorded: m2"})
	// KubeletServingReload is that of tlsCertFile and tlsPrivateKeyFile.
	KubeletServingReload = row("kubelet/serving-reload",
		Fact[Reload]{Since: "1.31", Value: Reload{true, 0}, Source: "gate ReloadKubeletServerCertificateFile; pkg/kubelet/certificate/kubelet.go NewKubeletServerCertificateDynamicFileManager"})
)

// Again is how soon a change is taken up, less than 0 for not before a new start.
func (r Reload) Again() time.Duration {
	if !r.ByItself {
		return -1
	}
	return r.Within
}

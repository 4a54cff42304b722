package kubeconfig_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/kubeconfig"
)

const text = `apiVersion: v1
kind: Config
current-context: c
contexts:
- {name: c, context: {cluster: k, user: u}}
- {name: other, context: {cluster: none, user: none}}
clusters:
- {name: k, cluster: {server: "https://10.0.0.10:6443", certificate-authority: pki/ca.crt}}
users:
- {name: u, user: {client-certificate: /a.crt, client-key: /a.key, tokenFile: token}}
`

func TestRead(t *testing.T) {
	c, err := kubeconfig.Parse([]byte(text))
	require.NoError(t, err)
	files := map[string]string{"/etc/pki/ca.crt": "ca", "/a.crt": "cert", "/a.key": "key", "/etc/token": " secret\n"}
	read := func(name string) ([]byte, error) {
		if b, ok := files[name]; ok {
			return []byte(b), nil
		}
		return nil, fmt.Errorf("open %s: no such file or directory", name)
	}
	cluster, user := c.Current()
	got, unread := kubeconfig.Read(read, "/etc", cluster, user)
	require.NoError(t, kubeconfig.Invalid(unread))
	require.Equal(t, kubeconfig.Content{Roots: []byte("ca"), Cert: []byte("cert"), Key: []byte("key"), Token: "secret",
		CAFile: "/etc/pki/ca.crt", CertFile: "/a.crt", KeyFile: "/a.key", TokenFile: "/etc/token"}, got)

	// What stands in the kubeconfig itself is not read.
	cluster.Cluster.CAData, user.User.Token = []byte("inside"), "inside"
	got, _ = kubeconfig.Read(read, "/etc", cluster, user)
	require.Equal(t, "inside", string(got.Roots)+got.CAFile)
	require.Equal(t, "inside", got.Token+got.TokenFile)

	delete(files, "/a.crt")
	_, unread = kubeconfig.Read(read, "/etc", cluster, user)
	require.EqualError(t, kubeconfig.Invalid(unread), "invalid configuration: unable to read client-cert /a.crt for u due to open /a.crt: no such file or directory")
	delete(files, "/a.key")
	_, unread = kubeconfig.Read(read, "/etc", cluster, user)
	require.ErrorContains(t, kubeconfig.Invalid(unread), "invalid configuration: [unable to read client-cert ")

	c.CurrentContext = "other"
	cluster, user = c.Current()
	require.Nil(t, cluster)
	require.Nil(t, user)
	_, err = kubeconfig.Parse([]byte("clusters: 1"))
	require.Error(t, err)
}

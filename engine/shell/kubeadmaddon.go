package shell

import (
	"fmt"

	"github.com/joinery-lab/joinery/engine/era"
)

// phaseAddonAll makes what the addons need in the cluster. Their own Pods are
// not here: no Deployment and no DaemonSet is.
func phaseAddonAll(a *adm, _ []string) error {
	if err := phaseAddonDNS(a, nil); err != nil {
		return err
	}
	return phaseAddonProxy(a, nil)
}

// phaseAddonDNS models cmd/kubeadm/app/phases/addons/dns EnsureDNSAddon, without
// its Deployment and Service.
func phaseAddonDNS(a *adm, _ []string) error {
	return a.addon("coredns", "CoreDNS", era.KubeadmDNS.In(a.era()), func(c *admConfig, client *admClient) error {
		domain := c.cluster.text("networking", "dnsDomain")
		return client.putConfigMap("kube-system", "coredns", "Corefile", fmt.Sprintf(admCorefile, domain))
	})
}

// phaseAddonProxy models cmd/kubeadm/app/phases/addons/proxy EnsureProxyAddon,
// without its DaemonSet.
func phaseAddonProxy(a *adm, _ []string) error {
	return a.addon("kube-proxy", "kube-proxy", era.KubeadmProxy.In(a.era()), func(c *admConfig, client *admClient) error {
		text := kubeconfigText(c.endpoint(), "default", "default", nil, "tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token")
		return client.put("/api/v1/namespaces/kube-system/configmaps", "kube-proxy", object{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": "kube-proxy", "namespace": "kube-system", "labels": map[string]any{"app": "kube-proxy"}},
			"data":     map[string]any{"config.conf": fmt.Sprintf(admProxyConfig, c.cluster.text("networking", "podSubnet")), "kubeconfig.conf": string(text)}})
	})
}

// addon makes an addon's ServiceAccount, roles and bindings, and what else it has.
func (a *adm) addon(name, called string, may era.KubeadmGrant, more func(c *admConfig, client *admClient) error) error {
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	client, _, err := a.initClient()
	if err != nil {
		return phase("addon/"+name, err)
	}
	defer client.close()
	if err := more(c, client); err != nil {
		return phase("addon/"+name, err)
	}
	account := object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": name, "namespace": "kube-system"}}
	if err := client.put("/api/v1/namespaces/kube-system/serviceaccounts", name, account); err != nil {
		return phase("addon/"+name, err)
	}
	if err := client.grant(may); err != nil {
		return phase("addon/"+name, err)
	}
	a.printf("[addons] Applied essential addon: %s\n", called)
	return nil
}

const admCorefile = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes %s in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`

const admProxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection:
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
clusterCIDR: %q
kind: KubeProxyConfiguration
`

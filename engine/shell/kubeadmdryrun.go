package shell

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/sim"
)

// dryDir is where a dry run leaves what it makes. Models
// cmd/kubeadm/app/constants GetDryRunDir.
func (a *adm) dryDir(command string) string {
	if a.tmp == "" {
		n := a.sys(func(c *sim.Ctx) reply { return reply{N: c.Chance.N(c.Host+"/shell/kubeadm-dryrun", 1<<32)} }).N
		a.tmp = fmt.Sprintf("%s/tmp/kubeadm-%s-dryrun%d", etcKubernetes, command, n)
		a.log('W', 0, "constants.go:614", "Using dry-run directory %s", a.tmp)
	}
	return a.tmp
}

// wouldDo shows a request instead of sending it; what only reads is sent all the
// same, and shown. Models cmd/kubeadm/app/util/apiclient DryRun.
func (c *admClient) wouldDo(method, target string, body any) {
	words := strings.Split(strings.TrimPrefix(target, "/"), "/")
	group := "core/v1"
	if words[0] == "apis" {
		group, words = strings.Join(words[1:3], "/"), words[3:]
	} else {
		words = words[2:]
	}
	namespace := ""
	if words[0] == "namespaces" && len(words) > 2 {
		namespace, words = words[1], words[2:]
	}
	verb := map[string]string{"POST": "CREATE", "PUT": "UPDATE"}[method]
	if verb == "" {
		verb = method
	}
	resource, _, _ := strings.Cut(words[0], "?")
	if len(words) == 1 && method == "GET" {
		verb = "LIST"
	}
	c.printf("[dryrun] Would perform action %s on resource %q in API group %q\n", verb, resource, group)
	if len(words) > 1 {
		c.printf("[dryrun] Resource name %q, namespace %q\n", words[1], namespace)
	}
	c.attached(body)
}

// attached shows the object that a request carries or brings.
func (c *admClient) attached(o any) {
	if o == nil {
		return
	}
	if b, err := yaml.Marshal(o); err == nil {
		c.printf("[dryrun] Attached object:\n%s\n", b)
	}
}

// wouldShow prints what a dry run of join wrote, as the files that it would be.
// Models cmd/kubeadm/app/util/dryrun PrintFilesIfDryRunning.
func (j *joining) wouldShow(dir string) error {
	j.printf("[dryrun] Wrote certificates and kubeconfig files to the %q directory\n", dir)
	for _, name := range []string{"config.yaml", "kubeadm-flags.env"} {
		b, err := j.readFile(dir + "/" + name)
		if err != nil {
			return err
		}
		j.wouldWrite(varLibKubelet+"/"+name, string(b))
	}
	return nil
}

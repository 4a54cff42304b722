package shell

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
)

// resetFiles and resetDirs are what reset takes away, in its order.
var resetFiles = []string{"admin.conf", "super-admin.conf", "kubelet.conf", "bootstrap-kubelet.conf", "controller-manager.conf", "scheduler.conf"}

// reset undoes init or a join.
func reset(a *adm, _ []string) error {
	if !a.f.yes && !a.f.dryRun {
		return fmt.Errorf("aborted reset operation: there is nobody to ask whether all changes made to this host are to be reverted; use --force")
	}
	a.printf("[preflight] Running pre-flight checks\n")
	if user := a.getenv("USER"); user != "" && user != "root" {
		fmt.Fprintf(a.errs, "[preflight] Some fatal errors occurred:\n\t[ERROR IsPrivilegedUser]: user is not running as root\n[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`\n")
		return fmt.Errorf("error execution phase preflight: preflight checks failed")
	}
	return phaseCleanup(a, nil)
}

// removeStatic takes away what runs a control plane. What etcd holds stays: it
// is one for all control planes.
func (a *adm) removeStatic() error {
	var files []string
	for _, s := range a.staticPods() {
		if file := podFile(s.Name); a.exists(file) {
			if err := a.order("stop", s.Name); err != nil {
				return err
			}
			files = append(files, file)
		}
	}
	return a.change(func(d *sim.Disk, _ time.Time) error {
		for _, f := range files {
			if err := d.Remove(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// phaseCleanup stops the kubelet and takes away its files. Models
// cmd/kubeadm/app/cmd/phases/reset runCleanupNode.
func phaseCleanup(a *adm, _ []string) error {
	pkiDir := orText(a.f.certDir, etcKubernetes+"/pki")
	var files []string
	for _, f := range resetFiles {
		files = append(files, etcKubernetes+"/"+f)
	}
	dirs := []string{etcKubernetes + "/manifests", pkiDir}
	if a.f.dryRun {
		a.printf("[dryrun] Would stop the kubelet service\n[dryrun] Would unmount mounted directories in %q\n[dryrun] Would remove Kubernetes-managed containers\n", varLibKubelet)
		a.printf("[dryrun] Would delete contents of directories: [%s]\n[dryrun] Would delete files: [%s]\n", strings.Join(dirs, " "), strings.Join(files, " "))
		return nil
	}
	a.printf("[reset] Stopping the kubelet service\n")
	if err := a.order("stop", "kubelet"); err != nil {
		a.log('W', 0, "cleanupnode.go:105", "[reset] The kubelet service could not be stopped by kubeadm: [%v]", err)
		a.log('W', 0, "cleanupnode.go:106", "[reset] Please ensure kubelet is stopped manually")
	}
	if err := a.removeStatic(); err != nil {
		return phase("cleanup-node", err)
	}
	a.printf("[reset] Unmounting mounted directories in %q\n", varLibKubelet)
	dirs = append(dirs, varLibKubelet)
	slices.Sort(dirs)
	a.printf("[reset] Deleting contents of directories: [%s]\n", strings.Join(dirs, " "))
	a.printf("[reset] Deleting files: [%s]\n", strings.Join(files, " "))
	return a.change(func(d *sim.Disk, _ time.Time) error {
		for _, dir := range dirs {
			names, _ := d.ReadDir(dir)
			for _, n := range names {
				d.RemoveAll(dir + "/" + n)
			}
		}
		for _, f := range files {
			d.Remove(f)
		}
		return nil
	})
}

package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/joinery-lab/joinery/engine/era"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell the build",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			info, _ := debug.ReadBuildInfo()
			fmt.Fprintln(c.OutOrStdout(), build(info))
			fmt.Fprintln(c.OutOrStdout(), "Kubernetes releases:", strings.Join(era.Releases(), ", "))
			return nil
		},
	}
}

// build names a build: its version or revision, the revision's time, whether
// files were changed after it, and the compiler.
func build(info *debug.BuildInfo) string {
	if info == nil {
		return "joinery, of an unknown build"
	}
	vcs := map[string]string{}
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	words := []string{"joinery"}
	switch v := info.Main.Version; {
	case vcs["vcs.revision"] != "":
		words = append(words, vcs["vcs.revision"], "of", vcs["vcs.time"])
		if vcs["vcs.modified"] == "true" {
			words = append(words, "(changed)")
		}
	case v != "" && v != "(devel)":
		words = append(words, v)
	default:
		words = append(words, "development")
	}
	return strings.Join(append(words, "built with", info.GoVersion), " ")
}

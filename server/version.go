package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"text/tabwriter"

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

func eraCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "era",
		Short: "What each Kubernetes release does",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "List the releases and their facts",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return listEras(c.OutOrStdout()) },
	})
	return c
}

// listEras prints a table: a line for each row of engine/era, a column for
// each release.
func listEras(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "FACT\t"+strings.Join(era.Releases(), "\t"))
	for _, name := range era.Names() {
		cells := []string{name}
		for _, r := range era.Releases() {
			cells = append(cells, brief(era.Value(name, era.Must(r))))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// brief cuts what does not fit into a table's cell.
func brief(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

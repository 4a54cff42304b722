package main

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/web/desk/text"
)

func eraCommand() *cobra.Command {
	var prefix, lang string
	c := &cobra.Command{
		Use:   "era",
		Short: "What each Kubernetes release does",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	show := &cobra.Command{
		Use:   "show RELEASE",
		Short: "Print what a release does: each fact, and where it is from",
		Args:  releases(1),
		RunE: func(c *cobra.Command, args []string) error {
			return showEra(c.OutOrStdout(), era.Must(args[0]), prefix)
		},
	}
	diff := &cobra.Command{
		Use:   "diff RELEASE RELEASE",
		Short: "Print what differs between two releases, and what that means for a node that joins",
		Args:  releases(2),
		RunE: func(c *cobra.Command, args []string) error {
			return diffEras(c.OutOrStdout(), era.Must(args[0]), era.Must(args[1]), prefix, lang)
		},
	}
	for _, sub := range []*cobra.Command{show, diff} {
		sub.Flags().StringVar(&prefix, "only", "", "only facts whose names begin so, such as kubelet/ or gate/")
	}
	diff.Flags().StringVar(&lang, "lang", "en", "language of the sentences: en or zh")
	c.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "List the releases that can be chosen",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return listEras(c.OutOrStdout()) },
	}, show, diff)
	return c
}

// releases takes n releases that are here.
func releases(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return coded{fmt.Errorf("%s takes %s, not %d; see %s --help", c.CommandPath(), map[int]string{1: "one release", 2: "two releases"}[n], len(args), c.CommandPath()), unreadable}
		}
		for _, a := range args {
			if _, err := era.At(a); err != nil {
				return coded{err, unreadable}
			}
		}
		return nil
	}
}

// listEras prints a line for each release: its version, and how much changed.
func listEras(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "RELEASE\tVERSION\tCHANGES")
	for i, r := range era.Releases() {
		e, changes := era.Must(r), "the first"
		if i > 0 {
			changes = fmt.Sprintf("%d facts since %s", len(era.Diff(era.Must(e.Before()), e)), e.Before())
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", r, era.GitVersion.In(e), changes)
	}
	return t.Flush()
}

func showEra(out io.Writer, e era.Era, prefix string) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "FACT\tVALUE\tSOURCE")
	for _, f := range e.All() {
		if strings.HasPrefix(f.Name, prefix) {
			fmt.Fprintf(t, "%s\t%s\t%s\n", f.Name, brief(f.Value), f.Source)
		}
	}
	return t.Flush()
}

// diffEras prints each fact that differs, with what was and what is; those first that
// mean something for a node that joins, with a sentence about it.
func diffEras(out io.Writer, from, to era.Era, prefix, lang string) error {
	changes := era.Diff(from, to)
	sort.SliceStable(changes, func(i, j int) bool { return text.Has("era."+changes[i].Name) && !text.Has("era."+changes[j].Name) })
	for _, d := range changes {
		if !strings.HasPrefix(d.Name, prefix) {
			continue
		}
		fmt.Fprintln(out, d.Name)
		if d.Before != "" {
			fmt.Fprintf(out, "  - %s\n", d.Before)
		}
		if d.After != "" {
			fmt.Fprintf(out, "  + %s\n", d.After)
		}
		if key := "era." + d.Name; text.Has(key) {
			fmt.Fprintf(out, "  %s\n", text.Of(lang, key))
		}
	}
	return nil
}

// brief cuts what does not fit into a table's cell.
func brief(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/lessons"
)

// Exit statuses. failed is an expectation that does not hold or something that
// can't be done; unreadable is an argument or a file that can't be read.
const (
	failed     = 1
	unreadable = 2
)

// coded is an error with an exit status of its own.
type coded struct {
	error
	status int
}

func (c coded) Unwrap() error { return c.error }

func main() {
	engine.Tidy(1400 << 20)
	os.Exit(command(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// command runs joinery and returns its exit status. Tests start the same.
func command(args []string, in io.Reader, out, errs io.Writer) (status int) {
	defer func() {
		// A broken invariant panics in the engine; people get a sentence.
		if r := recover(); r != nil {
			fmt.Fprintf(errs, "joinery: this world stopped, which is a mistake in Joinery and not in your session: %v\n", r)
			status = failed
		}
	}()
	root := &cobra.Command{
		Use:           "joinery",
		Short:         "A playground for how a Kubernetes node joins a cluster and keeps its certificates",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return coded{fmt.Errorf("%w; see %s --help", err, c.CommandPath()), unreadable}
	})
	root.AddCommand(runCommand(), serveCommand(), siteCommand(), eraCommand(), versionCommand())
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.Execute()
	if err == nil {
		return 0
	}
	var failure *lessons.Failure
	if errors.As(err, &failure) {
		fmt.Fprintln(errs, failure)
		return failed
	}
	fmt.Fprintln(errs, "joinery:", err)
	var c coded
	if errors.As(err, &c) {
		return c.status
	}
	return failed
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	what := "takes no argument"
	if c.HasSubCommands() {
		what = "has no command"
	}
	return coded{fmt.Errorf("%s %s %q; see %s --help", c.CommandPath(), what, args[0], c.CommandPath()), unreadable}
}

func oneArg(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return coded{fmt.Errorf("%s takes one %s, not %d; see %s --help", c.CommandPath(), name, len(args), c.CommandPath()), unreadable}
	}
}

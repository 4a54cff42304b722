package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func serveCommand() *cobra.Command {
	listen := os.Getenv("LISTEN")
	if listen == "" {
		listen = "localhost:8080"
	}
	var dir string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the playground",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			files, err := siteFiles(dir)
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("can't listen at %q: %w; choose another with --listen or LISTEN", listen, err)
			}
			fmt.Fprintf(c.OutOrStdout(), "Joinery is at http://%s\n", reachable(l.Addr(), listen))
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return serve(ctx, l, newSite(files))
		},
	}
	c.Flags().StringVar(&dir, "site", "", "serve the built site in this `folder` and not the one inside this program")
	c.Flags().StringVar(&listen, "listen", listen, "the `address` to listen at, host:port (or the environment's LISTEN)")
	return c
}

// serve answers at l until ctx ends.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return nil
	}
}

// reachable is the address as one types it into a browser here: the host as it
// was asked for, localhost for every interface, and the port that was given.
func reachable(a net.Addr, asked string) string {
	host, _, _ := net.SplitHostPort(asked)
	_, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

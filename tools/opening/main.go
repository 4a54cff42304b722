// Command opening prints the first picture of the usual world, for the site:
// see desk.Opening.
package main

import (
	"fmt"
	"os"

	"github.com/joinery-lab/joinery/web/desk"
)

func main() {
	b, err := desk.Foretell()
	if err == nil {
		_, err = os.Stdout.Write(b)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "opening:", err)
		os.Exit(1)
	}
}

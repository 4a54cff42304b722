// Command press makes the site small, and tells how small.
//
//	press -quality 5 site FOLDER                  writes FILE.br and FILE.gz beside each file that is worth it
//	press -quality 11 size FILE.wasm [FLAG...]    compares a wasm with its budgets; FLAGs are those that go build made it with
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	quality := flag.Int("quality", 5, "brotli quality, 0 to 11")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: press [-quality N] site FOLDER | press [-quality N] size FILE.wasm [FLAG...]")
	}
	flag.Parse()
	verb, arg := flag.Arg(0), flag.Arg(1)
	var err error
	switch {
	case flag.NArg() < 2 || verb == "site" && flag.NArg() > 2:
		flag.Usage()
		os.Exit(2)
	case verb == "site":
		err = pressSite(arg, *quality)
	case verb == "size":
		err = size(arg, *quality, flag.Args()[2:])
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "press:", err)
		os.Exit(1)
	}
}

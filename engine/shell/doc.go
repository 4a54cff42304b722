// Package shell is the command line of the virtual hosts: a POSIX shell and
// the commands that people type.
//
// A Terminal is an actor. A line typed at it is parsed by mvdan.cc/sh and run
// by its interpreter, with every way to the machine below replaced: files are
// the host's disk, time is virtual, commands are rows of a table in this
// package, and they reach the cluster only by requests over the wire.
//
// # Turns
//
// A pipeline has several goroutines, and a world must not depend on how they
// are scheduled. So exactly one of them runs at any moment: it holds the turn
// until it waits (for an answer, for a pipe, for another one to end), and then
// the leftmost one that can go on gets it. Step returns when none can. For
// that, pipelines and & are rewritten before they run (rewrite.go), so that
// every goroutine is known and every pipe is ours.
//
// # Running commands in clones
//
// A goroutine can't be cloned. Everything a line learns of the world passes
// through one boundary (sys.go) and is kept while the line runs, as are the
// messages that came in. A clone runs the line again, hears the same answers,
// has no effects, and then goes on from there by itself.
package shell

// Package engine is the world: it wires hosts, units, disks, the wire and the
// actors together, and is the only package that knows them all.
//
// A World is a value that is fed Inputs and a time, and yields Observations:
//
//	w, err := engine.New(engine.Config{Release: "1.36", Seed: "1"})
//	w.Apply(engine.Input{Typed: &engine.Typed{Host: "node-1", Line: "systemctl start kubelet"}})
//	w.AdvanceTo(w.Now().Add(10 * time.Second))
//	for _, o := range w.Drain() { … }
//
// Same release, seed, scenario and inputs give the same Observations and the
// same disks, byte for byte, natively and in a browser, however time is cut
// into steps. Time is virtual: nothing here reads a clock.
//
// A World is not safe for use by several goroutines at once; clones are
// independent of each other.
package engine

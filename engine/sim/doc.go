// Package sim is time, chance, the wire and disks. It knows HTTP and no
// Kubernetes.
//
// An Actor is a machine that does nothing but decide: it is handed a message
// and a Ctx, changes its own plain state, and leaves Effects. Time is an
// argument: there is no timer here, only a Queue of Events that the world
// empties in the order of (At, Seq). Nothing here reads a wall clock, global
// chance or the operating system.
package sim

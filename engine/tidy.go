package engine

import "runtime/debug"

// Tidy sets how Go collects garbage for the process that runs worlds; the
// shells call it first. A world makes much that lives only for one step and
// keeps little, so that by default a fifth of its time would go into looking at
// what it keeps. Limit is in bytes: near it garbage is collected as often as is
// needed to stay below.
func Tidy(limit int64) {
	debug.SetGCPercent(800)
	debug.SetMemoryLimit(limit)
}

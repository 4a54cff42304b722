// Package lessons is what Joinery teaches: lesson files, their loader, goals,
// and sessions, the scripts that solve them.
//
// A lesson is a folder: lesson.yaml without prose; en.md and zh.md, each
// written by someone who knows the subject; solutions, sessions that reach
// every goal; and fail, tempting sessions that must not. A goal is a predicate
// over a view of the world and the evidence of what happened, in the small
// language of Predicate; it never asks for equality of states.
//
//	l, err := lessons.Load("first-join")
//	ev := l.Evidence()
//	ev.Add(world.Drain())
//	met, why := l.Steps[0].Goal.Met(world.View(), ev)
//
// A Session is one step a line, as in
//
//	node-1# systemctl start kubelet
//	advance 30s
//	admin$ kubectl get csr
//	expect No resources found
package lessons

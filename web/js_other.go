//go:build !js

package web

import "github.com/joinery-lab/joinery/web/desk"

// Link is the page's end of the line to the player; outside a browser there is
// no line.
type Link struct{ done []desk.Command }

// InWorker is false outside a browser.
func InWorker() bool { return false }

// ServeEngine does nothing outside a browser.
func ServeEngine() {}

// Open returns nil outside a browser: there is nothing to draw on.
func Open() *Page { return nil }

// Listen never calls f outside a browser.
func (l *Link) Listen(f func(desk.Msg)) {}

// Do notes the command, for tests.
func (l *Link) Do(c desk.Command) { l.done = append(l.done, c) }

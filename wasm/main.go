// Command wasm is Joinery in a browser: one binary for both sides. In a page
// it draws the desk; in a Worker, where there is no document, it is the engine.
package main

import (
	"github.com/maxence-charriere/go-app/v9/pkg/app"

	"github.com/joinery-lab/joinery/web"
)

func main() {
	if web.InWorker() {
		web.ServeEngine()
		return
	}
	page := web.Open()
	if page == nil {
		return
	}
	app.RouteWithRegexpFunc(".*", func() app.Composer { return page })
	app.RunWhenOnBrowser()
}

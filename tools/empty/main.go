//go:build js && wasm

// Command empty is a go-app page with one word on it: what the start of the
// playground is measured against by `make bench`.
package main

import "github.com/maxence-charriere/go-app/v9/pkg/app"

type page struct{ app.Compo }

func (p *page) Render() app.UI {
	return app.Button().DataSet("test", "start").Text("empty")
}

func main() {
	app.Route("/", &page{})
	app.RunWhenOnBrowser()
}

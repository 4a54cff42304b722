package web

import (
	"fmt"
	"strings"

	"github.com/maxence-charriere/go-app/v9/pkg/app"

	"github.com/joinery-lab/joinery/web/desk"
)

// hears is what a component tells the desk with.
type hears func(desk.Msg)

// on makes an event handler that sends a message. Its scope tells go-app when
// the message is another one: it compares handlers by their code alone.
func (h hears) on(m desk.Msg) (app.EventHandler, string) {
	return func(ctx app.Context, e app.Event) {
		e.PreventDefault()
		h(m)
	}, fmt.Sprintf("%T%+v", m, m)
}

// button draws a button with a class of its own.
func (h hears) button(b desk.Button, class string) app.HTMLButton {
	u := app.Button().Type("button").Class(class).Disabled(b.Disabled).Body(rich(b.Label)...)
	if b.Primary {
		u = u.Class("primary")
	}
	if b.Test != "" {
		u = u.DataSet("test", b.Test)
	}
	if b.Hint != "" {
		u = u.Title(b.Hint)
	}
	if b.Msg != nil {
		f, scope := h.on(b.Msg)
		u = u.OnClick(f, scope)
	}
	return u
}

// tabs draws a row of tabs.
func (h hears) tabs(name string, tabs []desk.Button) app.UI {
	return app.Div().Class("tabs").Role("tablist").Aria("label", name).Body(each(tabs, func(b desk.Button) app.UI {
		u := h.button(b, "tab").Role("tab").Aria("selected", fmt.Sprint(b.Pressed))
		if b.Pressed {
			u = u.Class("on")
		}
		return u
	})...)
}

func each[T any](list []T, f func(T) app.UI) []app.UI {
	out := make([]app.UI, 0, len(list))
	for _, v := range list {
		out = append(out, f(v))
	}
	return out
}

// rich draws a sentence: code between backticks, strong words between **.
func rich(s string) []app.UI {
	var out []app.UI
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			out = append(out, app.Code().Text(part))
			continue
		}
		for j, p := range strings.Split(part, "**") {
			switch {
			case p == "":
			case j%2 == 1:
				out = append(out, app.B().Text(p))
			default:
				out = append(out, app.Text(p))
			}
		}
	}
	return out
}

// paras draws paragraphs and blocks of code.
func paras(list []desk.Para) []app.UI {
	return each(list, func(p desk.Para) app.UI {
		if p.Code {
			return app.Pre().Class("cmd").Text(p.Text)
		}
		return app.P().Body(rich(p.Text)...)
	})
}

// at puts an element at its place on the stage.
func at(u app.HTMLDiv, p desk.Place) app.HTMLDiv {
	return u.Style("left", px(p.X)).Style("top", px(p.Y)).Style("width", px(p.W)).Style("height", px(p.H))
}

func px(n int) string { return fmt.Sprintf("%dpx", n) }

func pc(f float64) string { return fmt.Sprintf("%.3f%%", f) }

const svgNS = "http://www.w3.org/2000/svg"

func svg(tag string) app.HTMLElem { return app.Elem(tag).XMLNS(svgNS) }

// icon is a small picture on a 16 × 16 grid, drawn by one path.
func icon(d string) app.UI {
	return svg("svg").Attr("viewBox", "0 0 16 16").Attr("width", 16).Attr("height", 16).Aria("hidden", "true").Body(svg("path").Attr("d", d).Attr("fill", "currentColor"))
}

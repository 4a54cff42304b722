package web

import (
	"fmt"
	"strings"

	"github.com/maxence-charriere/go-app/v9/pkg/app"

	"github.com/joinery-lab/joinery/web/desk"
)

type inspector struct {
	app.Compo
	Scene desk.Inspector
	tell  hears
}

func (c *inspector) Render() app.UI {
	s := c.Scene
	body := []app.UI{app.H2().Text(s.Title)}
	if s.Sub != "" {
		body = append(body, app.P().Class("sub").Text(s.Sub))
	}
	for _, b := range s.Blocks {
		body = append(body, c.block(b))
	}
	return app.Aside().Class("right").Aria("label", s.Name).Body(
		app.Div().Class("backrow").Body(c.tell.button(s.Back, "btn ghost")),
		c.tell.tabs(s.Name, s.Tabs),
		app.Div().Class("pad").Role("tabpanel").Body(body...),
	)
}

func (c *inspector) block(b desk.Block) app.UI {
	var out []app.UI
	if b.Head != "" {
		h := app.H3().Text(b.Head)
		if strings.HasPrefix(b.Head, "/") {
			h = h.Class("path")
		}
		out = append(out, h)
	}
	var in []app.UI
	if b.Bold != "" || b.Text != "" {
		t := rich(b.Text)
		if b.Bold != "" {
			t = append([]app.UI{app.B().Text(b.Bold), app.Text(" ")}, t...)
		}
		in = append(in, app.P().Body(t...))
	}
	if len(b.Hex) > 0 {
		in = append(in, hex(b.Hex))
	}
	if len(b.Rows) > 0 {
		in = append(in, c.rows(b.Rows))
	}
	if len(b.Items) > 0 {
		in = append(in, app.Ul().Class("items").Body(each(b.Items, c.item)...))
	}
	if b.Pre != "" {
		in = append(in, app.Pre().Class("cmd").DataSet("verbatim", fmt.Sprint(b.Verbatim)).TabIndex(0).Text(b.Pre))
	}
	if len(b.Buttons) > 0 {
		in = append(in, app.Div().Class("btns").Body(each(b.Buttons, func(k desk.Button) app.UI {
			u := c.tell.button(k, "btn")
			if k.Pressed {
				u = u.Class("on").Aria("pressed", "true")
			}
			return u
		})...))
	}
	box := app.Div().Class("block").DataSet("tone", b.Tone)
	if b.Test != "" {
		box = box.DataSet("test", b.Test)
	}
	return app.Section().Body(append(out, box.Body(in...))...)
}

func (c *inspector) rows(rows []desk.Row) app.UI {
	var out []app.UI
	for _, r := range rows {
		key, val := app.Dt(), app.Dd().DataSet("tone", r.Tone)
		k := []app.UI{app.Text(r.Key)}
		if r.Mark > 0 {
			k = []app.UI{app.Mark().DataSet("mark", r.Mark).Text(r.Key)}
		}
		if r.Msg != nil {
			f, scope := c.tell.on(r.Msg)
			k = []app.UI{app.Button().Type("button").Class("fieldkey").DataSet("on", fmt.Sprint(r.On)).Aria("pressed", fmt.Sprint(r.On)).OnClick(f, scope).Body(k...)}
		}
		v := []app.UI{app.Text(r.Value)}
		if r.Note != "" {
			v = append(v, app.Text(" "), app.I().Text(r.Note))
		}
		if r.Test != "" {
			val = val.DataSet("test", r.Test)
		}
		if r.On {
			val = val.Class("on")
		}
		out = append(out, key.Body(k...), val.Body(v...))
	}
	return app.Dl().Class("kv").Body(out...)
}

func (c *inspector) item(it desk.Item) app.UI {
	body := []app.UI{app.Span().Class("t").Text(it.Text)}
	if it.Note != "" {
		body = append(body, app.Small().Text(it.Note))
	}
	if it.Chip != "" {
		body = append(body, app.Span().Class("pill").DataSet("tone", it.Tone).Text(it.Chip))
	}
	if it.Msg == nil {
		return app.Li().Body(app.Div().Class("item").Body(body...))
	}
	f, scope := c.tell.on(it.Msg)
	b := app.Button().Type("button").Class("item").OnClick(f, scope).DataSet("on", fmt.Sprint(it.On))
	if it.Test != "" {
		b = b.DataSet("test", it.Test)
	}
	return app.Li().Body(b.Body(body...))
}

func hex(lines []desk.HexLine) app.UI {
	return app.Div().Class("hex").TabIndex(0).Body(each(lines, func(l desk.HexLine) app.UI {
		spans := each(l.Spans, func(s desk.HexSpan) app.UI {
			if s.Mark == 0 {
				return app.Span().Text(s.Text + " ")
			}
			return app.Mark().DataSet("mark", s.Mark).DataSet("on", fmt.Sprint(s.On)).Text(s.Text)
		})
		return app.Div().Body(append([]app.UI{app.I().Text(l.Offset)}, spans...)...)
	})...)
}

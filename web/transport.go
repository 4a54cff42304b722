package web

import (
	"fmt"
	"strconv"

	"github.com/maxence-charriere/go-app/v9/pkg/app"

	"github.com/joinery-lab/joinery/web/desk"
)

type transport struct {
	app.Compo
	Scene desk.Transport
	tell  hears
}

// icons of the transport, by the name of the button.
var icons = map[string]string{
	"first":     "M3 2h2v12H3zM14 2v12L5 8z",
	"step-back": "M12 2v12L3 8z",
	"play":      "M4 1.500v13L14 8z",
	"pause":     "M4 2h3v12H4zM9 2h3v12H9z",
	"step":      "M3 2v12l8-6zM12 2h2v12h-2z",
}

func (c *transport) control(b desk.Button) app.UI {
	label := b.Label
	b.Label, b.Hint = "", label
	return c.tell.button(b, "ctl").Aria("label", label).Body(icon(icons[b.Test]))
}

func (c *transport) Render() app.UI {
	s := c.Scene
	speeds := make([]app.UI, len(s.Speeds))
	for i, n := range s.Speeds {
		speeds[i] = app.Option().Value(i).Text(n).Selected(i == s.Speed)
	}
	bar := app.Div().Class("ctls").Body(
		c.control(s.First), c.control(s.Back), c.control(s.Play), c.control(s.Fwd),
		app.Select().Class("speed").DataSet("test", "speed").Aria("label", s.SpeedLabel).Title(s.SpeedLabel).OnChange(func(ctx app.Context, e app.Event) {
			if i, err := strconv.Atoi(ctx.JSSrc().Get("value").String()); err == nil {
				c.tell(desk.SetSpeed{Index: i})
			}
		}).Body(speeds...),
		app.Span().Class("clock").DataSet("test", "clock").Text(s.Clock),
		app.Span().Class("note").DataSet("test", "event-count").Text(s.Note),
	)
	rows := each(s.Rows, func(r desk.TimeRow) app.UI {
		return app.Div().Class("trow").Body(app.Span().Class("tlabel").Title(r.Label).Text(r.Label), app.Div().Class("track").Body(append(each(r.Bars, stretch), each(r.Marks, dot)...)...))
	})
	over := app.Div().Class("over").Body(
		app.I().Class("cursor").Style("left", pc(100*s.Cursor)),
		app.Input().Type("range").Class("knob").DataSet("test", "timeline").Aria("label", s.Label).Aria("valuetext", s.Clock).Aria("busy", fmt.Sprint(s.Busy)).Min(0).Max(1000).Step(1).Value(int(1000*s.Cursor+0.5)).
			OnInput(func(ctx app.Context, e app.Event) {
				v, err := strconv.Atoi(ctx.JSSrc().Get("value").String())
				if err != nil {
					return
				}
				x := float64(v) / 1000
				if live := int(1000*c.Scene.Live + 0.5); v >= live {
					// Nothing comes after the present: the knob stays there.
					ctx.JSSrc().Set("value", live)
					x = 1
				}
				c.tell(desk.Drag{X: x})
			}),
	)
	ticks := app.Div().Class("ticks").Body(each(s.Ticks, func(t desk.Tick) app.UI {
		return app.Span().Style("left", pc(100*t.X)).DataSet("align", t.Align).Text(t.Text)
	})...)
	return app.Section().Class("time").Aria("label", s.Name).Body(bar,
		app.Div().Class("lines").Body(append(rows, over, ticks)...),
		app.Div().Class("leap").Hidden(s.Leaping == 0).DataSet("test", "leaping").Body(app.Span().Text(s.LeapText), app.Progress().Max(100).Value(int(100*s.Leaping)).Aria("label", s.LeapText), c.tell.button(s.Stop, "btn")),
	)
}

func stretch(b desk.Bar) app.UI {
	return app.I().Class("stretch").DataSet("kind", b.Kind).Style("left", pc(100*b.From)).Style("width", pc(100*(b.To-b.From))).Title(b.Title)
}

func dot(d desk.Dot) app.UI {
	return app.I().Class("mark").DataSet("shape", d.Shape).DataSet("tone", d.Tone).DataSet("later", fmt.Sprint(d.Later)).Style("left", pc(100*d.X)).Title(d.Title)
}

package web

import (
	"fmt"

	"github.com/maxence-charriere/go-app/v9/pkg/app"

	"github.com/joinery-lab/joinery/web/desk"
)

type header struct {
	app.Compo
	Scene desk.Header
	tell  hears
}

func (c *header) Render() app.UI {
	lesson := app.Span().Class("chip lesson").Text(c.Scene.Lesson)
	if c.Scene.Lesson == "" {
		lesson = app.Span().Class("tagline").Text(c.Scene.Tagline)
	}
	return app.Header().Body(
		app.Span().Class("logo").Body(app.B().Text("Join"), app.Text("ery")),
		c.tell.button(c.Scene.Release, "chip").Aria("pressed", fmt.Sprint(c.Scene.Release.Pressed)),
		lesson,
		app.Span().Class("sp"),
		app.Span().Class("chip langs").Role("group").Aria("label", c.Scene.LangName).Body(each(c.Scene.Langs, func(b desk.Button) app.UI {
			return c.tell.button(b, "lang").Aria("pressed", fmt.Sprint(b.Pressed))
		})...),
		c.tell.button(c.Scene.Reset, "btn"),
	)
}

type left struct {
	app.Compo
	Scene desk.Left
	tell  hears
}

func (c *left) Render() app.UI {
	pad := app.Div().Class("pad").Role("tabpanel")
	switch c.Scene.Open {
	case "flags":
		pad = pad.Body(c.flags()...)
	case "release":
		pad = pad.Body(c.releases()...)
	default:
		pad = pad.Body(learn(c.Scene.Learn)...)
	}
	return app.Aside().Class("left").Aria("label", c.Scene.Name).Body(c.tell.tabs(c.Scene.Name, c.Scene.Tabs), pad)
}

func learn(l desk.Learn) []app.UI {
	out := []app.UI{app.H2().Text(l.Title), app.Div().Class("intro").Body(paras(l.Intro)...)}
	if len(l.Steps) == 0 {
		return out
	}
	return append(out, app.H3().Text(l.StepsTitle), steps(l), app.H3().Text(l.ProgressTitle),
		app.Div().Class("meter").Role("progressbar").Aria("valuenow", l.Progress).Aria("valuemin", 0).Aria("valuemax", 100).Aria("label", l.ProgressText).Body(
			app.Div().Style("width", fmt.Sprintf("%d%%", l.Progress))),
		app.P().Class("small").Text(l.ProgressText))
}

func steps(l desk.Learn) app.UI {
	return app.Ol().Class("steps").Body(each(l.Steps, func(s desk.LearnStep) app.UI {
		body := []app.UI{app.Div().Class("steptitle").Body(rich(s.Title)...)}
		body = append(body, paras(s.Prose)...)
		if s.Why != "" {
			body = append(body, app.P().Class("missing").Body(rich(s.Why)...))
		}
		li := app.Li().Class("step "+s.State).DataSet("test", "goal-"+s.ID).DataSet("met", fmt.Sprint(s.Met))
		if s.State == "now" {
			li = li.Aria("current", "step")
		}
		return li.Body(app.Span().Class("dot").Aria("hidden", "true").Text(s.N), app.Div().Class("stepbody").Body(append(body, app.Span().Class("sr").Text(s.StateText))...))
	})...)
}

func (c *left) flags() []app.UI {
	out := []app.UI{app.P().Class("small").Body(rich(c.Scene.Flags.Note)...)}
	for _, g := range c.Scene.Flags.Groups {
		out = append(out, app.H3().Class("path").Text(g.Title))
		for _, f := range g.Flags {
			out = append(out, c.flag(f))
		}
	}
	return out
}

func (c *left) flag(f desk.FlagField) app.UI {
	list := f.Test + "-choices"
	return app.Div().Class("flag").Body(
		app.Label().For(f.Test).Body(app.Code().Text("--"+f.Name)),
		app.Input().ID("%s", f.Test).DataSet("test", f.Test).Type("text").List(list).Value(f.Value).Disabled(f.Disabled).Spellcheck(false).AutoComplete(false).
			OnChange(func(ctx app.Context, e app.Event) {
				c.tell(desk.SetFlag{Host: f.Host, Unit: f.Unit, Name: f.Name, Value: ctx.JSSrc().Get("value").String()})
			}, f.Test, f.Value),
		app.DataList().ID("%s", list).Body(each(f.Choices, func(s string) app.UI { return app.Option().Value(s) })...),
		app.P().Class("small").Body(rich(f.Hint)...),
	)
}

// progress is the lesson in one line, for an embed.
type progress struct {
	app.Compo
	Scene desk.Learn
	tell  hears
}

func (c *progress) Render() app.UI {
	now := ""
	for _, s := range c.Scene.Steps {
		if s.State == "now" {
			now = s.Title
		}
	}
	return app.Div().Class("progress").Body(
		app.Ol().Class("dots").Body(each(c.Scene.Steps, func(s desk.LearnStep) app.UI {
			return app.Li().Class("dot "+s.State).Title(s.Title).DataSet("test", "goal-"+s.ID).DataSet("met", fmt.Sprint(s.Met)).Body(app.Span().Text(s.N))
		})...),
		app.B().Body(rich(now)...),
		app.Span().Class("sp"),
		app.Span().Class("small").Text(c.Scene.ProgressText),
		c.tell.button(c.Scene.Whole, "btn"),
	)
}

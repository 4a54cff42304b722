package web

import (
	"strconv"

	"github.com/maxence-charriere/go-app/v9/pkg/app"

	"github.com/joinery-lab/joinery/web/desk"
)

type terminal struct {
	app.Compo
	Scene desk.Terminal
	tell  hears
}

func (c *terminal) Render() app.UI {
	s := c.Scene
	lines := each(s.Lines, func(l desk.TermLine) app.UI {
		d := app.Div().Class("tline").DataSet("tone", l.Tone)
		if l.Prompt == "" {
			return d.Text(l.Text)
		}
		return d.Body(app.Span().Class("prompt").Text(l.Prompt+" "), app.Text(l.Text))
	})
	if len(lines) == 0 {
		lines = []app.UI{app.Div().Class("tline").DataSet("tone", "dim").Text(s.Empty)}
	}
	body := []app.UI{c.tell.tabs(s.Name, s.Tabs),
		app.Div().Class("out").TabIndex(0).Role("log").Aria("label", s.Name).Body(app.Div().DataSet("test", "terminal-output").Body(lines...))}
	if s.Host != "" {
		body = append(body, c.input())
	}
	return app.Section().Class("term").Aria("label", s.Name).Body(body...)
}

// input is the line that is typed. Enter sends it, unless a here-document in
// it is still open.
func (c *terminal) input() app.UI {
	s := c.Scene
	send := func(ctx app.Context, e app.Event) {
		if step := map[string]int{"ArrowUp": 1, "ArrowDown": -1}[e.Get("key").String()]; step != 0 {
			recall(ctx.JSSrc(), s.History, step, e)
			return
		}
		if e.Get("key").String() != "Enter" || e.Get("shiftKey").Bool() || e.Get("isComposing").Bool() {
			return
		}
		line := ctx.JSSrc().Get("value").String()
		if desk.Unfinished(line) {
			return
		}
		e.PreventDefault()
		ctx.JSSrc().Set("value", "")
		ctx.JSSrc().Get("dataset").Set("back", 0)
		c.tell(desk.TypeLine{Host: s.Host, Line: line})
	}
	row := []app.UI{app.Span().Class("prompt").Text(s.Prompt),
		app.Textarea().DataSet("test", "terminal-input").Class("typed").Rows(1).Aria("label", s.Hint).Placeholder(s.Hint).Spellcheck(false).Attr("autocomplete", "off").Disabled(s.Disabled).OnKeyDown(send, s.Host, len(s.History)).OnInput(tidy)}
	if s.Busy {
		row = append(row, c.tell.button(s.Stop, "stop"))
	}
	return app.Div().Class("inline").Body(row...)
}

// tidy takes away a line's end that is all there is: go-app hands the Enter that
// sent a line to us when the browser has already decided to write it.
func tidy(ctx app.Context, _ app.Event) {
	if input := ctx.JSSrc(); input.Get("value").String() == "\n" {
		input.Set("value", "")
	}
}

// recall puts an earlier line into the input: back in time with step 1. How far
// back it is stands on the element, since components keep no state.
func recall(input app.Value, history []string, step int, e app.Event) {
	if len(history) == 0 || input.Get("value").String() != "" && input.Get("dataset").Get("back").IsUndefined() {
		return
	}
	back, _ := strconv.Atoi(input.Get("dataset").Get("back").String())
	back = min(max(back+step, 0), len(history))
	e.PreventDefault()
	line := ""
	if back > 0 {
		line = history[len(history)-back]
	}
	input.Get("dataset").Set("back", back)
	input.Set("value", line)
}

package web

import (
	"fmt"

	"github.com/maxence-charriere/go-app/v9/pkg/app"

	"github.com/joinery-lab/joinery/web/desk"
)

type notice struct {
	app.Compo
	Scene desk.Notice
	tell  hears
}

func (c *notice) Render() app.UI {
	n := c.Scene
	d := app.Div().Class("notice").DataSet("tone", n.Tone).DataSet("test", "notice").Role("alert").Hidden(n.Text == "")
	body := append([]app.UI{app.Span().Body(rich(n.Text)...)}, each(n.Buttons, func(b desk.Button) app.UI { return c.tell.button(b, "btn") })...)
	return d.Body(body...)
}

type actions struct {
	app.Compo
	Scene desk.Actions
	tell  hears
}

func (c *actions) Render() app.UI {
	return app.Div().Class("actions").Role("group").Aria("label", c.Scene.Name).Body(each(c.Scene.Buttons, func(b desk.Button) app.UI { return c.tell.button(b, "btn") })...)
}

type stage struct {
	app.Compo
	Scene desk.Stage
	tell  hears
}

func (c *stage) Render() app.UI {
	s := c.Scene
	body := []app.UI{wires(s)}
	if s.Nodes.W > 0 {
		body = append(body, at(app.Div().Class("lanehead"), s.Nodes).Text(s.NodesTitle))
	}
	if s.Control.W > 0 {
		body = append(body, at(app.Div().Class("lanehead"), s.Control).Text(s.ControlText))
	}
	for i := range s.Cards {
		body = append(body, c.node(&s.Cards[i]))
	}
	body = append(body, c.api(), c.kcm(), you(s.You))
	for _, l := range s.Lanes {
		body = append(body, c.lane(l))
	}
	if s.LegendAt.W > 0 {
		body = append(body, legend(s))
	}
	body = append(body, app.Ul().Class("sr").Aria("label", s.ListTitle).DataSet("test", "stage-list").Body(each(s.List, func(t string) app.UI { return app.Li().Text(t) })...))
	return app.Div().Class("canvas").Style("height", px(s.H)).DataSet("still", fmt.Sprint(s.Still)).Body(body...)
}

// chip draws a small label; with a message it is a button.
func (h hears) chip(k desk.Chip, class string) app.UI {
	if k.Msg == nil {
		u := app.Span().Class(class).DataSet("tone", k.Tone).Body(rich(k.Text)...)
		if k.Test != "" {
			u = u.DataSet("test", k.Test)
		}
		if k.Title != "" {
			u = u.Title(k.Title)
		}
		return u
	}
	return h.button(desk.Button{Label: k.Text, Hint: k.Title, Test: k.Test, Msg: k.Msg}, class).DataSet("tone", k.Tone)
}

func (c *stage) node(n *desk.NodeCard) app.UI {
	head := []app.UI{c.tell.button(desk.Button{Label: n.Name, Msg: n.Msg}, "name"), app.Span().Class("ip").Text(n.IP), app.Span().Class("sp")}
	if n.Status.Text != "" {
		head = append(head, c.tell.chip(n.Status, "pill"))
	}
	rows := []app.UI{
		app.Div().Class("khead").Body(app.B().Text(n.Kubelet), app.Span().Class("sp"), c.tell.chip(n.Phase, "pill")),
		app.Div().Class("krow").Body(app.Span().Text(n.IDLabel), c.tell.chip(n.Identity, "ident")),
	}
	for _, r := range n.Rows {
		rows = append(rows, app.Div().Class("krow").Body(app.Span().Text(r.Key), app.Code().Text(r.Value)))
	}
	body := []app.UI{app.Div().Class("chead").Body(head...), app.Div().Class("inner").Body(rows...)}
	for _, l := range n.Lives {
		body = append(body, c.life(l))
	}
	for _, g := range n.Groups {
		body = append(body, app.Div().Class("dir").Text(g.Dir))
		if g.Empty != "" {
			body = append(body, app.Div().Class("none").Text(g.Empty))
			continue
		}
		body = append(body, app.Div().Class("files").Body(each(g.Files, func(f desk.Item) app.UI {
			b := c.tell.button(desk.Button{Label: f.Text, Hint: f.Text, Msg: f.Msg}, "file")
			if f.Note == "" {
				return b
			}
			return app.Div().Class("filerow").Body(b, app.Small().Text(f.Note))
		})...))
	}
	return at(app.Div().Class("card node"), n.Place).Style("max-height", px(n.H)).DataSet("test", "node-card").Body(body...)
}

func (c *stage) life(l desk.LifeBar) app.UI {
	f, scope := c.tell.on(l.Msg)
	bar := []app.UI{
		app.I().Class("done").Style("width", pc(l.Done)),
		app.I().Class("window").Style("left", pc(l.From)).Style("width", pc(l.To-l.From)),
	}
	if l.Deadline > 0 {
		bar = append(bar, app.I().Class("deadline").Style("left", pc(l.Deadline)))
	}
	return app.Button().Type("button").Class("life").DataSet("use", l.Use).Title(l.Title).OnClick(f, scope).Body(
		app.Span().Text(l.Label), app.Span().Class("bar").Body(bar...))
}

func (c *stage) api() app.UI {
	a := c.Scene.API
	head := []app.UI{app.B().Class("name").Text(a.Name), app.Span().Class("ip").Text(a.Addr)}
	if a.Off != "" {
		head = append(head, app.Span().Class("sp"), app.Span().Class("pill").DataSet("tone", "no").Text(a.Off))
	}
	stages := each(a.Stages, func(s desk.StageChip) app.UI {
		return app.Li().Class("stagechip").DataSet("test", "stage-"+s.Key).DataSet("state", s.State).Title(s.Label+": "+s.Text).Body(app.Span().Text(s.Label), app.Span().Class("sr").Text(s.Text))
	})
	lines := each(a.Lines, func(r desk.Row) app.UI {
		d := app.Div().Class("dline").DataSet("tone", r.Tone).Title(r.Value)
		if r.Key != "" {
			return d.Body(app.Span().Class("k").Text(r.Key), app.Span().Text(r.Value))
		}
		return d.Body(rich(r.Value)...)
	})
	csrs := []app.UI{}
	for i, k := range a.CSRs {
		body := []app.UI{app.Span().Text(k.Text)}
		if k.Title != "" {
			cond := app.Span().Class("cond").Text(k.Title)
			if i == 0 {
				cond = cond.DataSet("test", "csr-condition")
			}
			body = append(body, cond)
		}
		f, scope := c.tell.on(k.Msg)
		csrs = append(csrs, app.Button().Type("button").Class("csr").DataSet("tone", k.Tone).OnClick(f, scope).Body(body...))
	}
	return at(app.Div().Class("card api"), a.Place).DataSet("beat", a.Beat%2).Body(
		app.Div().Class("chead").Body(head...),
		app.Ol().Class("stages").Body(stages...),
		app.Div().Class("lines").DataSet("test", "decision").Body(lines...),
		app.Div().Class("csrs").Body(csrs...),
	)
}

func (c *stage) kcm() app.UI {
	k := c.Scene.KCM
	head := []app.UI{app.B().Class("name").Text(k.Name)}
	if k.Off != "" {
		head = append(head, app.Span().Class("sp"), app.Span().Class("pill").DataSet("tone", "no").Text(k.Off))
	}
	return at(app.Div().Class("card kcm"), k.Place).Body(
		app.Div().Class("chead").Body(head...),
		app.Div().Class("ctrls").Body(each(k.Chips, func(h desk.Chip) app.UI {
			return app.Span().Class("ctrl").DataSet("on", fmt.Sprint(h.On)).Title(h.Text + ": " + h.Title).Text(h.Text)
		})...),
		app.Div().Class("cnote").Title(k.Note).Text(k.Note),
	)
}

func you(y desk.YouCard) app.UI {
	return at(app.Div().Class("card you"), y.Place).Title(y.As+" "+y.Identity).Body(
		app.Div().Class("chead").Body(app.B().Class("name").Text(y.Name), app.Span().Class("as").Text(y.As), app.Code().DataSet("tone", "admin").Text(y.Identity)),
		app.Div().Class("cnote").Title(y.Note).Text(y.Note),
	)
}

// wires are the lines on which messages travel, below the cards.
func wires(s desk.Stage) app.UI {
	var g []app.UI
	for _, l := range s.Lanes {
		if l.Request == "" {
			continue
		}
		lane := svg("g").DataSet("tone", l.Tone).DataSet("beat", l.Beat%2).DataSet("on", fmt.Sprint(l.On))
		paths := []app.UI{svg("path").DataSet("wire", "rest").Attr("d", l.Request)}
		if l.Open {
			paths = append(paths, svg("path").DataSet("wire", "request").Attr("d", l.Request).Attr("pathLength", 1), head(l.Request, "request"))
		}
		if l.Code != "" && l.Answer != "" {
			paths = append(paths, svg("path").DataSet("wire", "answer").DataSet("tone", l.CodeTone).Attr("d", l.Answer), head(l.Answer, "answer").DataSet("tone", l.CodeTone))
		}
		g = append(g, lane.Body(paths...))
	}
	return svg("svg").Attr("width", s.W).Attr("height", s.H).Attr("data-wires", "").Aria("hidden", "true").Body(g...)
}

// head is an arrow's head at the end of a path: it is moved there by CSS.
func head(path, wire string) app.HTMLElem {
	return svg("path").DataSet("head", wire).Attr("d", "M-9 -4.500L0 0L-9 4.500z").Attr("style", "offset-path:path('"+path+"')")
}

// lane is what stands on a lane, above the cards. Its parts are always the
// same in number, hidden when there is nothing to show: go-app matches elements
// by their place, and one that took another's would begin its animation anew.
func (c *stage) lane(l desk.Lane) app.UI {
	beat := l.Beat % 2
	label := app.Button().Type("button").Class("label").DataSet("tone", l.Tone).DataSet("beat", beat).DataSet("on", fmt.Sprint(l.On)).DataSet("test", "lane-"+l.ID).
		Style("left", px(l.LabelAt.X)).Style("top", px(l.LabelAt.Y)).Style("width", px(l.LabelAt.W)).Style("height", px(l.LabelAt.H)).
		Title(l.Title).Hidden(!l.Open || l.LabelAt.W == 0).Body(app.Span().Class("what").Text(l.Label), app.Span().Class("cred").Text(l.Sub))
	if l.Msg != nil {
		f, scope := c.tell.on(l.Msg)
		label = label.OnClick(f, scope)
	}
	code := at(app.Div().Class("code"), l.CodeAt).DataSet("tone", l.CodeTone).DataSet("beat", beat).DataSet("on", fmt.Sprint(l.On)).Hidden(!l.Open || l.Code == "").Body(app.Span().Text(l.Code))
	packet := func(class, path, tone string) app.UI {
		return app.Div().Class("packet "+class).DataSet("tone", tone).DataSet("beat", beat).Hidden(!l.Open || path == "" || tone == "").Style("offset-path", "path('"+path+"')")
	}
	return app.Div().Class("lane").Body(label, code, packet("go", l.Request, l.Tone), packet("back", l.Answer, l.CodeTone))
}

func legend(s desk.Stage) app.UI {
	return app.Div().Class("legend").Style("left", px(s.LegendAt.X)).Style("top", px(s.LegendAt.Y)).Style("width", px(s.LegendAt.W)).Body(
		append([]app.UI{app.Span().Class("k").Text(s.LegendTitle)}, each(s.Legend, func(k desk.Chip) app.UI {
			return app.Span().Class("key").DataSet("tone", k.Tone).Body(app.I(), app.Text(k.Text))
		})...)...)
}

package web

import (
	"github.com/maxence-charriere/go-app/v9/pkg/app"

	"github.com/joinery-lab/joinery/web/desk"
)

// Page is the root: it keeps the desk's model, hands messages to it, carries
// out its commands and draws its scene.
type Page struct {
	app.Compo
	model *desk.Model
	link  *Link
}

// NewPage draws a model and speaks to its engine by link.
func NewPage(m *desk.Model, l *Link) *Page { return &Page{model: m, link: l} }

// OnMount begins to listen.
func (p *Page) OnMount(ctx app.Context) {
	p.link.Listen(func(m desk.Msg) {
		ctx.Dispatch(func(app.Context) { p.tell(m) })
	})
}

func (p *Page) tell(m desk.Msg) {
	for _, c := range p.model.Update(m) {
		p.link.Do(c)
	}
}

// Render draws the scene.
func (p *Page) Render() app.UI {
	s := p.model.Scene()
	h := hears(p.tell)
	root := app.Div().ID("desk").DataSet("layout", s.Layout).DataSet("left", s.Left.Open).Lang("%s", s.Lang)
	main := app.Main().Class("stage").Aria("label", s.Stage.Name).Body(
		&notice{Scene: s.Notice, tell: h},
		&stage{Scene: s.Stage, tell: h},
		&actions{Scene: s.Actions, tell: h},
	)
	time := &transport{Scene: s.Transport, tell: h}
	term := &terminal{Scene: s.Terminal, tell: h}
	said := app.P().ID("said").Class("sr").Role("status").Aria("live", "polite").Text(s.Said)
	if s.Embed {
		return root.Class("embed").Body(&progress{Scene: s.Left.Learn, tell: h}, main, time, term, said)
	}
	return root.Body(
		&header{Scene: s.Header, tell: h},
		&left{Scene: s.Left, tell: h},
		main, time, term,
		&inspector{Scene: s.Inspector, tell: h},
		said,
	)
}

package web

import (
	"encoding/json"
	"strconv"
	"strings"
	"syscall/js"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/web/desk"
	"github.com/joinery-lab/joinery/web/desk/text"
)

// host is what boot.js offers: post and hear carry messages to and from the
// other side, keep, store and crashed are kept outside Go on purpose.
func host() js.Value { return js.Global().Get("joinery") }

// InWorker reports whether this is the engine's side: there is no document.
func InWorker() bool { return js.Global().Get("document").IsUndefined() }

// ServeEngine runs the player in a Worker. It does not return.
func ServeEngine() {
	engine.Tidy(128 << 20)
	in := make(chan string, 64)
	host().Set("hear", js.FuncOf(func(_ js.Value, args []js.Value) any {
		// Never wait here: the browser waits for us.
		s := args[0].String()
		select {
		case in <- s:
		default:
			go func() { in <- s }()
		}
		return nil
	}))
	host().Call("ready")
	play(in, func(s string) { host().Call("post", s) })
}

// Link is the page's end of the line to the player.
type Link struct {
	post   func(string)
	inbox  chan desk.Msg
	listen func(desk.Msg)
}

// Open reads what the address and the person's earlier choices say, asks the
// engine for a world and waits until it is there, or is foretold.
func Open() *Page {
	l := &Link{inbox: make(chan desk.Msg, 256)}
	hear := func(s string) {
		var m desk.FromEngine
		if err := json.Unmarshal([]byte(s), &m); err != nil {
			m = desk.FromEngine{Crash: err.Error()}
		}
		l.tell(desk.Heard{FromEngine: m})
	}
	if host().Get("worker").Truthy() {
		l.post = func(s string) { host().Call("post", s) }
		host().Set("hear", js.FuncOf(func(_ js.Value, args []js.Value) any {
			hear(args[0].String())
			return nil
		}))
	} else {
		in := make(chan string, 64)
		l.post = func(s string) { in <- s }
		go play(in, hear)
	}
	open := &desk.Open{}
	if j := host().Get("journal"); j.Type() == js.TypeString {
		open.Journal = json.RawMessage(j.String())
	}
	var opening *desk.Opening
	if o := host().Get("opening"); o.Type() == js.TypeString && open.Journal == nil {
		opening = desk.ReadOpening(o.String())
	}
	m := l.model(opening)
	open.Config = m.Config
	l.Do(desk.Command{Post: &desk.ToEngine{Open: open}})
	if opening != nil {
		m.Update(desk.Foretold{Opening: opening})
	}
	if !m.Ready {
		begin() // nothing can be drawn before the engine is there
	}
	for !m.Ready && m.Error == "" {
		for _, c := range m.Update(<-l.inbox) {
			l.Do(c)
		}
	}
	return NewPage(m, l)
}

// model is the desk as the address asks for it.
func (l *Link) model(o *desk.Opening) *desk.Model {
	loc := js.Global().Get("location")
	query := js.Global().Get("URLSearchParams").New(loc.Get("search"))
	param := func(name string) string {
		if v := query.Call("get", name); v.Type() == js.TypeString {
			return v.String()
		}
		return ""
	}
	lesson, cfg := o.Lesson(param("lesson"))
	cfg.Release = param("release")
	if s := param("seed"); s != "" {
		cfg.Seed = s
	}
	cfg.Nodes, _ = strconv.Atoi(param("nodes"))
	path := strings.TrimSuffix(strings.TrimSuffix(loc.Get("pathname").String(), "/"), ".html")
	embed := strings.HasSuffix(path, "/embed") || param("embed") != ""
	lang := text.Choose(js.Global().Get("document").Get("documentElement").Get("lang").String())
	m := desk.NewModel(lang, embed, lesson, cfg)
	m.Update(size())
	return m
}

// begin lets the engine begin, which waits until the page is drawn.
func begin() {
	if host().Get("drawn").Truthy() {
		host().Call("drawn")
		host().Set("drawn", js.Null())
	}
}

func size() desk.Resize {
	root := js.Global().Get("document").Get("documentElement")
	return desk.Resize{W: root.Get("clientWidth").Int(), H: root.Get("clientHeight").Int()}
}

func (l *Link) tell(m desk.Msg) {
	if l.listen != nil {
		l.listen(m)
		return
	}
	l.inbox <- m
}

// Listen hands all that is heard from now on, and what was heard since Open,
// to f.
func (l *Link) Listen(f func(desk.Msg)) {
	l.listen = f
	for {
		select {
		case m := <-l.inbox:
			f(m)
			continue
		default:
		}
		break
	}
	begin()
	js.Global().Call("addEventListener", "resize", js.FuncOf(func(js.Value, []js.Value) any {
		f(size())
		return nil
	}))
}

// Do carries out a command of the desk.
func (l *Link) Do(c desk.Command) {
	switch {
	case c.Post != nil:
		if b, err := json.Marshal(c.Post); err == nil {
			l.post(string(b))
		}
	case c.Store != nil:
		host().Call("store", c.Store.Key, c.Store.Value)
	case c.Journal != nil:
		host().Call("keep", string(c.Journal))
	case c.Crash != "":
		host().Call("crashed", c.Crash)
	case c.Visit != "":
		js.Global().Call("open", js.Global().Get("URL").New(c.Visit, js.Global().Get("location").Get("href")).Get("href"), "_blank", "noopener")
	case c.Lang != "":
		js.Global().Get("document").Get("documentElement").Set("lang", c.Lang)
	}
}

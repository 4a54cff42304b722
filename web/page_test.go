package web

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/maxence-charriere/go-app/v9/pkg/app"
	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/lessons"
	"github.com/joinery-lab/joinery/web/desk"
)

// TestPlay speaks to the player as boot.js does: in JSON.
func TestPlay(t *testing.T) {
	in, heard := make(chan string), make(chan desk.FromEngine, 4096)
	done := make(chan bool)
	go func() {
		play(in, func(s string) {
			var m desk.FromEngine
			require.NoError(t, json.Unmarshal([]byte(s), &m))
			heard <- m
		})
		close(done)
	}()
	say := func(m desk.ToEngine) {
		b, err := json.Marshal(m)
		require.NoError(t, err)
		in <- string(b)
	}
	say(desk.ToEngine{Open: &desk.Open{Config: engine.Config{Seed: "play"}}})
	m := <-heard
	require.True(t, m.Opened)
	require.NotEmpty(t, m.Journal)

	say(desk.ToEngine{Input: &engine.Input{Typed: &engine.Typed{Host: "node-1", Line: "systemctl start kubelet"}}})
	say(desk.ToEngine{Play: &desk.Play{Speed: time.Minute}})
	seen := 0
	for limit := time.After(20 * time.Second); seen < 100; {
		select {
		case m := <-heard:
			require.Empty(t, m.Crash)
			say(desk.ToEngine{Heard: true})
			seen += len(m.Observations)
		case <-limit:
			t.Fatalf("only %d observations came", seen)
		}
	}
	in <- "{not json"
	for m = <-heard; m.Error == ""; m = <-heard {
	}
	require.Contains(t, m.Error, "invalid character")
	close(in)
	<-done
}

// TestPageDraws renders every component once without a browser.
func TestPageDraws(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		lesson, err := lessons.Load("first-join")
		require.NoError(t, err)
		m := desk.NewModel(lang, false, lesson, engine.Config{})
		var e desk.Engine
		for _, f := range e.Handle(desk.ToEngine{Open: &desk.Open{}}) {
			m.Update(desk.Heard{FromEngine: f})
		}
		p := NewPage(m, &Link{})
		disp := app.NewServerTester(p)
		html := app.HTMLString(p)
		for _, want := range []string{`data-test="start"`, `data-test="timeline"`, `data-test="stage-authz"`, `data-state="idle"`, `data-test="goal-start"`, `data-met="false"`, `data-test="terminal-input"`, "bootstrap-kubelet.conf"} {
			require.Contains(t, html, want, lang)
		}
		require.Equal(t, lang == "zh", strings.Contains(html, "启动 node-1"))
		require.NotContains(t, html, `data-test="flag-controllers"`, "the flags are behind their tab")
		m.Update(desk.Tab{Area: "left", Name: "flags"})
		p.Update()
		disp.Consume()
		disp.Close()
	}
}

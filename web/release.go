package web

import (
	"github.com/maxence-charriere/go-app/v9/pkg/app"

	"github.com/joinery-lab/joinery/web/desk"
)

// releases draws the panel in which the release is switched.
func (c *left) releases() []app.UI {
	r := c.Scene.Release
	out := []app.UI{
		app.H2().Text(r.Title),
		app.Div().Class("flag").Body(
			app.Label().For("release-to").Text(r.Choose),
			app.Select().ID("release-to").DataSet("test", "release-to").Body(each(r.Choices, func(s string) app.UI {
				return app.Option().Value(s).Selected(s == r.To).Text(s)
			})...).OnChange(func(ctx app.Context, e app.Event) {
				c.tell(desk.LookAt{Release: ctx.JSSrc().Get("value").String()})
			}, r.To),
		),
	}
	if r.None != "" {
		return append(out, app.P().Class("small").Body(rich(r.None)...))
	}
	out = append(out,
		app.P().Class("small").DataSet("test", "release-count").Text(r.Count),
		app.Div().Class("ways").Body(c.tell.button(r.Anew, "btn"), c.tell.button(r.Along, "btn")),
		app.P().Class("small").Body(rich(r.Note)...),
	)
	out = append(out, changes(r.Told)...)
	out = append(out, app.H3().Text(r.RestTitle), c.tell.button(r.More, "btn"))
	return append(out, changes(r.Rest)...)
}

func changes(list []desk.ReleaseChange) []app.UI {
	return each(list, func(d desk.ReleaseChange) app.UI {
		body := []app.UI{app.Code().Class("path").Text(d.Name)}
		if d.Means != "" {
			body = append(body, app.P().Body(rich(d.Means)...))
		}
		if d.Before != "" {
			body = append(body, app.Pre().Class("was").Text("− "+d.Before))
		}
		if d.After != "" {
			body = append(body, app.Pre().Class("is").Text("+ "+d.After))
		}
		return app.Div().Class("change").DataSet("test", "change-"+d.Name).Body(body...)
	})
}

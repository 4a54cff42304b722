package desk

import (
	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/era"
)

// Release is the panel in which the release is switched: what differs, what that means
// for a node that joins, and the two ways to go there.
type Release struct {
	Title, Choose string
	Choices       []string
	// From is the release of the world, To the one that is looked at.
	From, To string
	Count    string
	Anew     Button
	Along    Button
	Note     string
	// Told are the changes that have a sentence, Rest all others, which are drawn when
	// they are asked for.
	Told      []ReleaseChange
	RestTitle string
	Rest      []ReleaseChange
	More      Button
	None      string
}

// ReleaseChange is a fact before and after; Means says what it means.
type ReleaseChange struct{ Name, Before, After, Means string }

// LookAt compares the world's release with another.
type LookAt struct{ Release string }

// ShowAll shows the changes that have no sentence of their own.
type ShowAll struct{}

// TakeRelease goes to the release that is looked at: with a new world, or along with
// this one.
type TakeRelease struct{ Along bool }

func (l LookAt) apply(m *Model) []Command {
	if _, err := era.At(l.Release); err == nil {
		m.Release.to, m.Release.all = l.Release, false
	}
	return nil
}

func (ShowAll) apply(m *Model) []Command {
	m.Release.all = !m.Release.all
	return nil
}

func (r TakeRelease) apply(m *Model) []Command {
	to := m.lookedAt()
	if !m.Ready || to == m.release() {
		return nil
	}
	m.Release.to = ""
	if r.Along {
		return m.do(engine.Input{Upgrade: &engine.Upgrade{Release: to}})
	}
	m.Config.Release = to
	return Drive{"reset"}.apply(m)
}

// release is that of the world's control plane.
func (m *Model) release() string { return or(m.View.Release, m.Config.Release, era.Usual) }

// lookedAt is the release that is compared with the world's.
func (m *Model) lookedAt() string { return or(m.Release.to, m.release()) }

// looking is what the person looks at in the panel, and what was found last.
type looking struct {
	to  string
	all bool
	// found are the differences between the two releases at of.
	found []era.Change
	of    [2]string
}

// differences are those between the world's release and the one looked at. A scene
// is drawn more often than they change.
func (m *Model) differences() []era.Change {
	of := [2]string{m.release(), m.lookedAt()}
	if m.Release.of != of {
		from, err := era.At(of[0])
		to, err2 := era.At(of[1])
		if err != nil || err2 != nil {
			return nil
		}
		m.Release.of, m.Release.found = of, era.Diff(from, to)
	}
	return m.Release.found
}

func (m *Model) releasePanel() Release {
	t := m.text()
	from, to := m.release(), m.lookedAt()
	p := Release{Title: t("release.title", "release", from), Choose: t("release.choose"), Choices: era.Releases(), From: from, To: to, None: t("release.none")}
	if to == from {
		return p
	}
	found := m.differences()
	p.None = ""
	p.Count = t("release.count", "n", len(found), "from", from, "to", to)
	p.Note = t("release.note")
	p.Anew = Button{Test: "release-anew", Label: t("release.anew", "release", to), Primary: true, Disabled: !m.Ready, Msg: TakeRelease{}}
	along := "release.upgrade"
	if era.Must(to).Older(era.Must(from)) {
		along = "release.downgrade"
	}
	p.Along = Button{Test: "release-along", Label: t(along, "release", to), Hint: t("release.along.hint"), Disabled: !m.Ready || m.Ghost, Msg: TakeRelease{Along: true}}
	for _, c := range found {
		d := ReleaseChange{Name: c.Name, Before: c.Before, After: c.After, Means: m.known("era." + c.Name)}
		if d.Means != "" {
			p.Told = append(p.Told, d)
		} else {
			p.Rest = append(p.Rest, d)
		}
	}
	p.RestTitle = t("release.rest", "n", len(p.Rest))
	p.More = Button{Test: "release-all", Label: t("release.more"), Pressed: m.Release.all, Msg: ShowAll{}}
	if !m.Release.all {
		p.Rest = nil
	} else {
		p.More.Label = t("release.less")
	}
	return p
}

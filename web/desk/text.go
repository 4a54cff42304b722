package desk

import (
	"fmt"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/web/desk/text"
)

// words looks a sentence up in the catalog of a language and puts names and
// values into it: t("notice.past", "at", "00:00:12").
type words func(key string, kv ...any) string

func (m *Model) text() words {
	return func(key string, kv ...any) string { return text.Of(m.Lang, key, kv...) }
}

// known is like words, but returns "" for a key that no catalog has.
func (m *Model) known(key string, kv ...any) string {
	if !text.Has(key) {
		return ""
	}
	return text.Of(m.Lang, key, kv...)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// stamp is a moment in a list: to the millisecond on the first day, with its
// date later.
func stamp(t time.Time) string {
	if t.Sub(engine.Start) < 24*time.Hour {
		return t.UTC().Format("15:04:05.000")
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// span is a duration in the largest unit that says it in three digits.
func span(d time.Duration) string {
	neg := ""
	if d < 0 {
		neg, d = "-", -d
	}
	switch {
	case d < time.Millisecond:
		return neg + fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return neg + short1(float64(d)/float64(time.Millisecond)) + " ms"
	case d < time.Minute:
		return neg + short1(d.Seconds()) + " s"
	case d < time.Hour:
		return neg + short1(d.Minutes()) + " min"
	case d < 48*time.Hour:
		return neg + short1(d.Hours()) + " h"
	}
	return neg + short1(d.Hours()/24) + " d"
}

func short1(f float64) string {
	if f >= 10 {
		return fmt.Sprintf("%.0f", f)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0")
}

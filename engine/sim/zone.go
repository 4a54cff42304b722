package sim

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// zones are the zones that hosts know, in the words of POSIX TZ: a browser has
// no tz database for us, and a whole one weighs more than the rest of a host.
// The rules are those of tzdata 2025b for today.
var zones = map[string]string{
	"Africa/Johannesburg": "SAST-2",
	"America/Los_Angeles": "PST8PDT,M3.2.0,M11.1.0",
	"America/New_York":    "EST5EDT,M3.2.0,M11.1.0",
	"America/Sao_Paulo":   "<-03>3",
	"Asia/Hong_Kong":      "HKT-8",
	"Asia/Kolkata":        "IST-5:30",
	"Asia/Seoul":          "KST-9",
	"Asia/Shanghai":       "CST-8",
	"Asia/Singapore":      "<+08>-8",
	"Asia/Taipei":         "CST-8",
	"Asia/Tokyo":          "JST-9",
	"Australia/Sydney":    "AEST-10AEDT,M10.1.0,M4.1.0/3",
	"Etc/UTC":             "UTC0",
	"Europe/Berlin":       "CET-1CEST,M3.5.0,M10.5.0/3",
	"Europe/London":       "GMT0BST,M3.5.0/1,M10.5.0",
	"UTC":                 "UTC0",
}

// Zones lists the names of the zones that hosts know.
func Zones() []string { return slices.Sorted(maps.Keys(zones)) }

var zoneCache sync.Map // POSIX TZ → *time.Location, which never change

// Zone returns a zone by its name; false when hosts don't know it.
func Zone(name string) (*time.Location, bool) {
	rule, ok := zones[name]
	switch {
	case !ok:
		return nil, false
	case rule == "UTC0":
		return time.UTC, true
	}
	if z, ok := zoneCache.Load(name); ok {
		return z.(*time.Location), true
	}
	z, err := time.LoadLocationFromTZData(name, tzif(rule))
	if err != nil {
		return nil, false
	}
	zoneCache.Store(name, z)
	return z, true
}

// tzif is a file of RFC 9636 with no transitions and one rule in its footer,
// which is what Go follows after the last transition.
func tzif(rule string) []byte {
	abbr, _, _ := strings.Cut(rule, "-")
	abbr = strings.TrimRight(strings.Trim(abbr, "<>"), "0123456789:") + "\x00"
	header := func() []byte {
		h := append([]byte("TZif2"), make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, 0, 1, uint32(len(abbr))} {
			h = binary.BigEndian.AppendUint32(h, n)
		}
		h = append(h, 0, 0, 0, 0, 0, 0) // one type: offset 0, no DST, name 0
		return append(h, abbr...)
	}
	b := append(header(), header()...)
	return append(b, "\n"+rule+"\n"...)
}

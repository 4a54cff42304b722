package sim

import (
	"io/fs"
	"path"
	"strings"
	"time"
)

// Clock is a host's own clock, as plain data. The zero Clock is right.
type Clock struct {
	// Ahead is how far it was ahead of the true time at Since, when it was last
	// set; since then it gains PPM microseconds a second.
	Ahead time.Duration `json:"ahead,omitempty"`
	Since time.Time     `json:"since,omitzero"`
	PPM   int64         `json:"ppm,omitempty"`
}

// ppm is a millionth of d, rounded to zero. Centuries in nanoseconds, a
// thousand times over, still fit.
func ppm(d time.Duration, n int64) time.Duration {
	const million = 1_000_000
	return d/million*time.Duration(n) + d%million*time.Duration(n)/million
}

// Skew is how far the clock is ahead at a true time.
func (k Clock) Skew(now time.Time) time.Duration {
	if k.PPM == 0 {
		return k.Ahead
	}
	return k.Ahead + ppm(now.Sub(k.Since), k.PPM)
}

// At is what the clock shows at a true time, UTC.
func (k Clock) At(now time.Time) time.Time { return now.Add(k.Skew(now)) }

// Set returns the clock as it is after it was set, at the true time now, to
// show what shows.
func (k Clock) Set(now, shows time.Time) Clock {
	return Clock{Ahead: shows.Sub(now), Since: now, PPM: k.PPM}
}

// Drift returns the clock with another rate from now on.
func (k Clock) Drift(now time.Time, rate int64) Clock {
	return Clock{Ahead: k.Skew(now), Since: now, PPM: rate}
}

// True is how long a time that the host measures takes in truth: a host whose
// clock is fast has its timers fire early. It is rounded up, so that who waits
// for the rest of a period always gets on.
func (k Clock) True(d time.Duration) time.Duration {
	if k.PPM == 0 || d <= 0 {
		return d
	}
	// d·10⁶/(10⁶+PPM), without leaving int64 for centuries.
	const million = 1_000_000
	rate := time.Duration(million + k.PPM)
	whole, rest := d/rate, d%rate
	return whole*million + (rest*million+rate-1)/rate
}

// Local is the host's clock in the host's zone, as programs print it.
func (c *Ctx) Local() time.Time { return c.Clock().In(ZoneOf(c.Disk)) }

// localtime is where a host's zone stands: a link into ZoneDir.
const localtime = "/etc/localtime"

// ZoneDir is where a host keeps the zones.
const ZoneDir = "/usr/share/zoneinfo/"

// ZoneOf is the zone that a host's disk names, UTC when it names none.
func ZoneOf(d *Disk) *time.Location {
	e := d.Entries[localtime]
	if e == nil || e.Mode&fs.ModeSymlink == 0 {
		return time.UTC
	}
	if z, ok := Zone(zoneName(e.Target)); ok {
		return z
	}
	return time.UTC
}

// ZoneName is the name of a host's zone.
func ZoneName(d *Disk) string {
	if e := d.Entries[localtime]; e != nil && e.Mode&fs.ModeSymlink != 0 {
		return zoneName(e.Target)
	}
	return "Etc/UTC"
}

func zoneName(target string) string {
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(localtime), target)
	}
	return strings.TrimPrefix(target, ZoneDir)
}

// SetZone makes a host's disk name a zone.
func SetZone(d *Disk, name string, now time.Time) error {
	d.Remove(localtime)
	return d.Symlink(".."+ZoneDir+name, localtime, now)
}

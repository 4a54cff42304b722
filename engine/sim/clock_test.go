package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestAClockIsSetAndDrifts(t *testing.T) {
	var k Clock
	require.Equal(t, noon, k.At(noon), "the zero clock is right")
	k = k.Set(noon, noon.Add(-10*time.Minute))
	require.Equal(t, noon.Add(50*time.Minute), k.At(noon.Add(time.Hour)))
	k = k.Drift(noon.Add(time.Hour), 100)
	day := noon.Add(25 * time.Hour)
	require.Equal(t, -10*time.Minute+8640*time.Millisecond, k.Skew(day), "100 ppm are 8.64 s a day")
	k = k.Drift(day, 0)
	require.Equal(t, -10*time.Minute+8640*time.Millisecond, k.Skew(day.AddDate(1, 0, 0)), "what it gained stays")
	k = Clock{Since: noon, PPM: -500}
	require.Equal(t, -1576800*time.Second/100, k.Skew(noon.Add(200*365*24*time.Hour)).Round(time.Second)/200, "200 years stay in range")
}

func TestATimerOfAFastClockIsEarlyAndNeverBeforeItsTime(t *testing.T) {
	for _, rate := range []int64{-200000, -500, -1, 0, 1, 37, 500, 200000} {
		k := Clock{Since: noon, PPM: rate}
		for _, d := range []time.Duration{1, 2, 999, time.Second, 10 * time.Second, time.Hour, 200 * 365 * 24 * time.Hour} {
			at := noon.Add(k.True(d))
			shown := k.At(at).Sub(noon)
			require.GreaterOrEqual(t, shown+1, d, "%d ppm, %v", rate, d)
			require.Less(t, shown-d, 3*time.Nanosecond, "%d ppm, %v", rate, d)
			require.Positive(t, k.True(d), "who waits gets on")
		}
	}
}

func TestZones(t *testing.T) {
	for name, want := range map[string][2]string{
		"Asia/Shanghai":    {"2026-01-01T20:00:00+08:00 CST", "2026-07-01T20:00:00+08:00 CST"},
		"Europe/Berlin":    {"2026-01-01T13:00:00+01:00 CET", "2026-07-01T14:00:00+02:00 CEST"},
		"America/New_York": {"2026-01-01T07:00:00-05:00 EST", "2026-07-01T08:00:00-04:00 EDT"},
		"Australia/Sydney": {"2026-01-01T23:00:00+11:00 AEDT", "2026-07-01T22:00:00+10:00 AEST"},
		"Asia/Kolkata":     {"2026-01-01T17:30:00+05:30 IST", "2026-07-01T17:30:00+05:30 IST"},
		"Asia/Singapore":   {"2026-01-01T20:00:00+08:00 +08", "2026-07-01T20:00:00+08:00 +08"},
		"UTC":              {"2026-01-01T12:00:00Z UTC", "2026-07-01T12:00:00Z UTC"},
	} {
		z, ok := Zone(name)
		require.True(t, ok, name)
		for i, at := range []time.Time{noon, noon.AddDate(0, 6, 0)} {
			require.Equal(t, want[i], at.In(z).Format(time.RFC3339+" MST"), name)
		}
	}
	for _, name := range Zones() {
		_, ok := Zone(name)
		require.True(t, ok, name)
	}
	_, ok := Zone("Mars/Olympus")
	require.False(t, ok)
}

func TestAHostsZoneStandsOnItsDisk(t *testing.T) {
	d := NewDisk(noon)
	require.NoError(t, d.MkdirAll("/etc", 0o755, noon))
	require.Equal(t, time.UTC, ZoneOf(d))
	require.Equal(t, "Etc/UTC", ZoneName(d))
	require.NoError(t, SetZone(d, "Asia/Tokyo", noon))
	require.NoError(t, SetZone(d, "Asia/Shanghai", noon))
	require.Equal(t, "Asia/Shanghai", ZoneName(d))
	require.Equal(t, "20:00", noon.In(ZoneOf(d)).Format("15:04"))
	require.NoError(t, d.Remove("/etc/localtime"))
	require.NoError(t, d.Symlink("/usr/share/zoneinfo/Europe/Berlin", "/etc/localtime", noon))
	require.Equal(t, "Europe/Berlin", ZoneName(d))
}

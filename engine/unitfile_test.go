package engine

import (
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A unit's command line is put together from its file, its drop-ins and the
// variables that these name; what is not there is passed over.
func TestUnitDropIns(t *testing.T) {
	w, err := New(Config{Seed: "drop-ins"})
	require.NoError(t, err)
	defer w.Close()
	m := w.machine("node-1")
	write := func(name, text string) {
		require.NoError(t, m.Disk.MkdirAll(path.Dir(name), 0o755, w.Now()))
		require.NoError(t, m.Disk.WriteFile(name, []byte(text), 0o644, w.Now()))
	}
	write(unitDir+"a.service", "[Unit]\nDescription=a\n[Service]\nExecStart=/usr/bin/a \\\n  --old\nRestartSec=10\n")
	write(unitDir+"a.service.d/10-b.conf", "[Service]\nEnvironment=\"ONE=--x=1 --y=${Z}\"\nEnvironmentFile=-/etc/a.env\nEnvironmentFile=-/etc/none\nExecStart=\nExecStart=/usr/bin/a $ONE $TWO $THREE --v=${FOUR}\n")
	write("/etc/a.env", "# TWO=no\nTWO=\"--z --w\"\nFOUR=4\n")
	f, err := m.readUnit("a")
	require.NoError(t, err)
	require.Equal(t, []string{"/usr/bin/a", "--x=1", "--y=${Z}", "--z", "--w", "--v=4"}, f.Args)
	require.Equal(t, "a", f.Description)
	require.Equal(t, 10*time.Second, f.RestartSec)
	_, text, ok := face{w, m}.UnitFile("a")
	require.True(t, ok)
	require.Contains(t, text, "--old\nRestartSec=10\n\n# "+unitDir+"a.service.d/10-b.conf\n[Service]\n")
	write(unitDir+"a.service.d/20-c.conf", "[Service]\nExecStart=\n")
	_, err = m.readUnit("a")
	require.EqualError(t, err, "Unit a.service has a bad unit file setting.")
}

// A unit that ends again and again is given up, as systemd gives it up: five
// starts within ten seconds, where its file does not say otherwise.
func TestUnitStartLimit(t *testing.T) {
	for _, tt := range []struct {
		limits string
		starts int
		gaveUp bool
	}{
		{"RestartSec=0", 5, true}, {"RestartSec=1", 5, true}, {"RestartSec=3", 7, false}, {"RestartSec=-1", 5, true}, {"RestartSec=0.5s\nStartLimitBurst=2", 2, true},
		{"StartLimitIntervalSec=0\nRestartSec=1s", 21, false},
	} {
		w, err := New(Config{Seed: "limit"})
		require.NoError(t, err)
		m := w.machine("node-1")
		require.NoError(t, m.Disk.WriteFile(unitDir+"a.service", []byte("[Service]\nExecStart=/usr/bin/nosuch\nRestart=always\n"+tt.limits), 0o644, w.Now()))
		require.NoError(t, w.Apply(Input{Typed: &Typed{"node-1", "systemctl start a"}}))
		w.AdvanceTo(w.Now().Add(20 * time.Second))
		starts, gaveUp := 0, false
		for _, e := range m.unit("a").Journal {
			if e.Line == "Started a.service." {
				starts++
			}
			gaveUp = gaveUp || e.Line == "a.service: Start request repeated too quickly."
		}
		require.InDelta(t, tt.starts, starts, 1, tt.limits)
		require.Equal(t, tt.gaveUp, gaveUp, tt.limits)
		w.Close()
	}
}

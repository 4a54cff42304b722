package enginetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

func TestStory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "story.txt")
	require.NoError(t, os.WriteFile(file, []byte("world\n----\n\n# 1. A file.\nnode-1# echo one > /root/f\n----\n\n# 2a. Another line in it, and\n# 3 more words.\nnode-1# echo two >> /root/f; cat /root/f\n----\n\ntrust\n----\n\n# 3. Time.\nadvance 5s\n----\n"), 0o600))
	s := ReadStory(t, file)
	defer s.Close()
	require.Equal(t, []string{"1", "2a", "3"}, s.Labels())
	w := s.Before(t, "2a")
	defer w.Close()
	b, err := w.Disk("node-1").ReadFile("/root/f")
	require.NoError(t, err)
	require.Equal(t, "one\n", string(b))
	require.Equal(t, "one\ntwo\n", s.Play(t, w, "2a", nil))
	again := s.Before(t, "2a")
	defer again.Close()
	require.Equal(t, "one\ntwo\n", s.Play(t, again, "2a", nil), "each world by itself")
	require.Equal(t, "one\ntwo\ntwo\n", s.Play(t, again, "2a", nil))
	before := again.Now()
	s.Play(t, again, "3", nil)
	require.Equal(t, 5*time.Second, again.Now().Sub(before))
}

func TestTally(t *testing.T) {
	w, err := engine.New(engine.Config{Seed: "tally"})
	require.NoError(t, err)
	defer w.Close()
	at := func(s int) time.Time { return engine.Start.Add(time.Duration(s) * time.Second) }
	seen := NewTally(w)
	ask := func(stream, code string, s int) {
		seen.See([]trace.Observation{
			{Kind: trace.Request, Actor: "node-1/kubelet", Args: map[string]string{"stream": stream, "to": "control-1/kube-apiserver"}, At: at(s)},
			{Kind: trace.Response, Args: map[string]string{"stream": stream, "code": code}, At: at(s)}})
	}
	ask("1", "200", 1)
	ask("2", "401", 2)
	ask("3", "404", 3)
	ask("4", "401", 4)
	seen.See([]trace.Observation{{Kind: trace.Handshake, Actor: "admin/terminal", Subject: "10.0.0.10:6443", Args: map[string]string{"client-error": "words"}, At: at(5)},
		{Kind: trace.Handshake, Actor: "admin/terminal", Subject: "10.0.0.10:6443", At: at(6)}})
	list := seen.Take()
	require.Len(t, list, 2)
	require.Equal(t, "admin/terminal at control-1/kube-apiserver: words, from 01-01 00:00:05 to 01-01 00:00:05", list[0].String())
	require.Equal(t, "node-1/kubelet at control-1/kube-apiserver: 401 Unauthorized, from 01-01 00:00:02 to 01-01 00:00:04", list[1].String())
	require.Empty(t, seen.Take())
}

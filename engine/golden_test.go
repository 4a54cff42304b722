package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
)

// TestGolden plays what was done to real components in a world, and holds what
// came of it against what was recorded.
func TestGolden(t *testing.T) {
	mine := golden.Claimed(t, "engine")
	golden.Run(t, "engine", func(t *testing.T, folder string) golden.Play {
		plays := map[string]golden.Play{}
		var tape *tape
		return func(t *testing.T, rec golden.Recording) {
			if word, _ := form(rec); tapeForms[word] != nil {
				if tape == nil {
					tape = newTape(t, folder, mine[folder])
				}
				tape.play(t, rec)
				return
			}
			play := plays[rec.Form]
			if play == nil {
				require.Contains(t, forms, rec.Form, "%s is claimed in a form that is not known here", rec.Name())
				play = forms[rec.Form](t, folder)
				plays[rec.Form] = play
			}
			play(t, rec)
		}
	})
	playOld(t)
}

// playOld plays the recordings of old releases.
func playOld(t *testing.T) {
	golden.RunOld(t, "engine", func(t *testing.T, release, folder string) golden.Play {
		plays := map[string]golden.Play{}
		return func(t *testing.T, rec golden.Recording) {
			if plays[rec.Form] == nil {
				require.Contains(t, oldForms, rec.Form, "%s is claimed in a form that is not known here", rec.Name())
				plays[rec.Form] = oldForms[rec.Form](t, release, folder)
			}
			plays[rec.Form](t, rec)
		}
	})
}

// oldForms are the manners in which recordings of old releases are replayed here.
// Release is that of the recording's folder, "1.7.4".
var oldForms = map[string]func(t *testing.T, release, folder string) golden.Play{}

// forms are the manners in which recordings are replayed here.
var forms map[string]func(t *testing.T, folder string) golden.Play

func init() {
	forms = map[string]func(t *testing.T, folder string) golden.Play{
		"run":               func(t *testing.T, folder string) golden.Play { return playRun(t, folder).compare },
		"terminal":          playTerminal,
		"verdict":           playVerdicts,
		"durations":         playDurations,
		"signing files":     playSigningFiles,
		"files replaced":    playReplacedFiles,
		"tokens":            playTokens,
		"cluster-info":      playClusterInfo,
		"cleaner":           playCleaner,
		"root CA":           playRootCA,
		"token of a Secret": playLegacySecret,
		"own signer":        playOwnSigner,
		"kubectl":           playKubectl,
		"handshakes":        playHandshakes,
	}
}

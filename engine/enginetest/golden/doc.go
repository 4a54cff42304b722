// Package golden reads the recordings of a real control plane, and says which
// test replays which of them. It is for tests only.
//
// Each file of engine/testdata/golden, and of the folder that JOINERY_GOLDEN
// names besides, is claimed by the first row of claims that fits it, or is left
// out with a reason by a line of engine/testdata/golden-exceptions.txt. The
// tests that replay them are all called TestGolden, with a subtest for each
// folder and in it one for each file:
//
//	func TestGolden(t *testing.T) {
//		golden.Run(t, "engine/api", func(t *testing.T, folder string) golden.Play {
//			w := newReplay(t, folder)
//			return func(t *testing.T, r golden.Recording) { w.play(t, r) }
//		})
//	}
//
// Recordings of old releases are in engine/testdata/golden-old, a folder for
// each release, and in what JOINERY_GOLDEN_OLD names. RunOld replays them: their
// rows are oldClaims, their exceptions engine/testdata/golden-old-exceptions.txt,
// and the subtests RELEASE/FOLDER/FILE.
//
// The package's own TestGolden fails for a file that nobody claims, for a row
// that claims nothing, and for an exception that excepts nothing.
package golden

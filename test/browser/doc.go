// Package browser drives the playground in a real Chromium, through the
// program that make built: it presses the buttons that a newcomer presses, in
// both languages, and reads the result from the page.
//
// It is a module of its own, so that chromedp never reaches Joinery's go.mod.
// `make test-browser` sets JOINERY (the program), CHROME (the browser) and
// ARTIFACTS (where screenshots go).
package browser

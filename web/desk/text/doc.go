// Package text holds the words of the page in each language: one catalog a
// language, the same keys and placeholders in all (a test checks it). What
// Kubernetes itself says is not here: it is English, word for word, as in life.
//
// A placeholder is {name}; words between backticks are drawn as code and are
// the same in all languages.
package text

package text

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:embed *.json
var files embed.FS

// Langs are the languages, the first being the one to fall back on.
var Langs = []string{"en", "zh"}

// catalog is that of a language, empty for one that is not there. Each is read
// when it is first asked for: the engine's side of the page needs none.
func catalog(lang string) map[string]string {
	if read := catalogs[lang]; read != nil {
		return read()
	}
	return nil
}

var catalogs = func() map[string]func() map[string]string {
	out := map[string]func() map[string]string{}
	for _, l := range Langs {
		out[l] = sync.OnceValue(func() map[string]string {
			b, err := files.ReadFile(l + ".json")
			if err != nil {
				panic(err)
			}
			m := map[string]string{}
			if err := json.Unmarshal(b, &m); err != nil {
				panic(fmt.Sprintf("%s.json: %v", l, err))
			}
			return m
		})
	}
	return out
}()

// Has reports whether there is such a sentence.
func Has(key string) bool {
	_, ok := catalog(Langs[0])[key]
	return ok
}

// Of is the sentence of a key in a language, with names and values put in:
// Of("en", "notice.past", "at", "12:00"). A key that is missing is returned
// itself, so that it is seen.
func Of(lang, key string, kv ...any) string {
	s, ok := catalog(lang)[key]
	if !ok {
		if s, ok = catalog(Langs[0])[key]; !ok {
			return key
		}
	}
	for i := 0; i+1 < len(kv); i += 2 {
		s = strings.ReplaceAll(s, "{"+fmt.Sprint(kv[i])+"}", fmt.Sprint(kv[i+1]))
	}
	return s
}

// Choose picks a language: the first of the wishes ("zh-CN", "en") that is
// here, or the one to fall back on.
func Choose(wishes ...string) string {
	for _, w := range wishes {
		w, _, _ = strings.Cut(strings.ToLower(w), "-")
		if slices.Contains(Langs, w) {
			return w
		}
	}
	return Langs[0]
}

// Package web draws a desk.Scene with go-app.
//
// Components hold a part of the Scene in one exported field and nothing else:
// go-app renders one again when that field differs. What the person does
// becomes a desk.Msg. Everything that is JavaScript stands in js_wasm.go.
package web

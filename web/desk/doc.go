// Package desk is the page without a browser: what it knows (Model), what may
// happen to it (Msg, Update) and what is to be drawn (Scene).
//
// It has no go-app and no syscall/js in it, so that all of it is tested as
// text. A Model hears FromEngine messages and what the person does; Update
// answers with Commands (post this to the engine, keep this preference); Scene
// is a pure function of the Model.
//
// The other half, Engine, is the player that runs beside the world, in a
// Worker where there is one: it owns the live world, its checkpoints and the
// ghost that is drawn while the person looks at the past. Page and player
// share nothing but the messages in wire.go, so the same desk can draw a world
// that runs elsewhere.
package desk

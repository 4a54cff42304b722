// Package klog stands in for k8s.io/klog/v2 in the page's program, where nobody reads
// what it would log: it and what it needs are 200 kB.
package klog

import (
	"context"
	"fmt"
)

// Logger logs nothing.
type Logger struct{}

func (Logger) Enabled() bool                   { return false }
func (Logger) Error(error, string, ...any)     {}
func (Logger) Info(string, ...any)             {}
func (l Logger) V(int) Logger                  { return l }
func (l Logger) WithCallDepth(int) Logger      { return l }
func (l Logger) WithName(string) Logger        { return l }
func (l Logger) WithValues(...any) Logger      { return l }
func Background() Logger                       { return Logger{} }
func FromContext(context.Context) Logger       { return Logger{} }
func LoggerWithName(l Logger, _ string) Logger { return l }

func NewContext(ctx context.Context, _ Logger) context.Context { return ctx }

// Level and Verbose are those of V, which is never enabled.
type Level int32

type Verbose struct{}

func V(Level) Verbose                { return Verbose{} }
func (Verbose) Enabled() bool        { return false }
func (Verbose) Info(...any)          {}
func (Verbose) Infof(string, ...any) {}
func (Verbose) InfoS(string, ...any) {}
func ErrorS(error, string, ...any)   {}
func Errorf(string, ...any)          {}
func Info(...any)                    {}
func InfoS(string, ...any)           {}
func Infof(string, ...any)           {}
func Warning(...any)                 {}
func Warningf(string, ...any)        {}

// Fatalf ends the program, as in klog.
func Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

package controllers

import (
	"encoding/json"
	"strings"

	"github.com/joinery-lab/joinery/engine/sim"
)

// zapLine is a log line of go.uber.org/zap in JSON, as both approvers write
// theirs where no terminal is.
type zapLine struct {
	level, caller, msg string
	logger             string
	timeKey            string
	lower, shown       bool
	fields             []any
}

// zap begins a line. postfinance/flash writes levels in capitals and the time
// as "ts", alex1989hu's logger in small letters and as "time".
func (m *ControllerManager) zap(c *sim.Ctx, level, caller, msg string) *zapLine {
	z := &zapLine{level: level, caller: caller, msg: msg, timeKey: "ts", shown: true}
	if m.Program == servingApprover {
		z.timeKey, z.lower = "time", true
		z.shown = level != "DEBUG" || m.Approver.Debug
	}
	return z
}

// verbose begins a line of logr's level v, which zap knows as -v.
func (m *ControllerManager) verbose(c *sim.Ctx, v int, caller, msg string) *zapLine {
	z := m.zap(c, "INFO", caller, msg)
	if v > 0 {
		z.level = "DEBUG"
		if v > 1 {
			z.level = "LEVEL(-" + string(rune('0'+v)) + ")"
		}
	}
	z.shown = v <= m.Approver.Level
	return z
}

func (z *zapLine) add(kv ...any) *zapLine {
	z.fields = append(z.fields, kv...)
	return z
}

// write writes the line: level, time, logger, caller, message, fields.
func (z *zapLine) write(c *sim.Ctx) {
	if !z.shown {
		return
	}
	level := z.level
	if z.lower {
		level = strings.ToLower(level)
	}
	kv := []any{"level", level, z.timeKey, c.Clock().Format("2006-01-02T15:04:05.000Z0700")}
	if z.logger != "" {
		kv = append(kv, "logger", z.logger)
	}
	kv = append(append(kv, "caller", z.caller, "msg", z.msg), z.fields...)
	var b strings.Builder
	for i := 0; i+1 < len(kv); i += 2 {
		v := kv[i+1]
		if err, ok := v.(error); ok {
			v = err.Error()
		}
		key, _ := json.Marshal(kv[i])
		value, _ := json.Marshal(v)
		b.WriteString(",")
		b.Write(key)
		b.WriteString(":")
		b.Write(value)
	}
	letter := map[string]byte{"WARN": 'W', "ERROR": 'E', "FATAL": 'E'}[z.level]
	if letter == 0 {
		letter = 'I'
	}
	c.LogLine(letter, 0, "{"+b.String()[1:]+"}")
}

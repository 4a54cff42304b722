package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/trace"
)

// Ctx is all that an actor can reach while it handles one message: the time,
// its host's disk, chance, and a list of effects. It is valid during Step only.
type Ctx struct {
	// Now is the true virtual time, UTC. Hosts may think otherwise: Clock.
	Now time.Time
	// Host is the name of the machine, IP its address, Unit the actor's own
	// name on it; PID is the process id in its logs. Also are further addresses;
	// a machine without any has an empty IP.
	Host, IP, Unit string
	Also           []string
	// Address is "host/unit"; empty means that it is made of the two.
	Address string
	PID     int
	// Skew is how far the host's clock is ahead of Now.
	Skew time.Duration
	// Disk is the host's disk. Changes are noted as trace.File by the world.
	Disk *Disk
	// Chance is where all randomness comes from.
	Chance *Chance
	// Cause is the observation that led to this step; Note and Log carry it.
	Cause uint64

	// Effects is what the world will carry out when Step returns.
	Effects []Effect

	// NextStream and Observe are the world's: they number exchanges and
	// observations. Lines collects what Log writes.
	NextStream func() uint64
	Observe    func(o trace.Observation) uint64
	Journal    func(line string)

	line []byte // room for the next
}

// Clock is the host's own idea of the time, UTC.
func (c *Ctx) Clock() time.Time { return c.Now.Add(c.Skew) }

// Actor is the address "host/unit".
func (c *Ctx) Actor() string {
	if c.Address != "" {
		return c.Address
	}
	return c.Host + "/" + c.Unit
}

// Send starts an exchange over the actor's connection named conn, which is
// dialled as d says when it is not open (an open one is used as it is: a
// client that wants new credentials closes it first). The answer comes as
// MsgResponse or MsgFailed with the returned stream.
func (c *Ctx) Send(conn string, d Dial, r Request) uint64 {
	r.Stream = c.NextStream()
	c.Effects = append(c.Effects, Effect{Kind: EffSend, Conn: conn, Dial: &d, Req: &r, Stream: r.Stream, Cause: c.Cause})
	return r.Stream
}

// Cancel ends an exchange from the client's side.
func (c *Ctx) Cancel(stream uint64) {
	c.Effects = append(c.Effects, Effect{Kind: EffCancel, Stream: stream, Cause: c.Cause})
}

// CloseConn closes the actor's connection of that name; exchanges on it fail
// with "http2: client connection force closed via ClientConn.Close".
func (c *Ctx) CloseConn(conn string) {
	c.Effects = append(c.Effects, Effect{Kind: EffClose, Conn: conn, Cause: c.Cause})
}

// Reply answers an exchange, Push adds a frame to an open answer, End ends it.
func (c *Ctx) Reply(stream uint64, r Response) {
	c.Effects = append(c.Effects, Effect{Kind: EffReply, Stream: stream, Resp: &r, Cause: c.Cause})
}
func (c *Ctx) Push(stream uint64, data []byte) {
	c.Effects = append(c.Effects, Effect{Kind: EffPush, Stream: stream, Data: data, Cause: c.Cause})
}
func (c *Ctx) End(stream uint64) {
	c.Effects = append(c.Effects, Effect{Kind: EffEnd, Stream: stream, Cause: c.Cause})
}

// Listen opens (or changes what is presented at) an address.
func (c *Ctx) Listen(l Listen) {
	c.Effects = append(c.Effects, Effect{Kind: EffListen, Listen: &l})
}

// Wake asks for MsgWake with tag at the time at (not before Now). Wakes can't
// be taken back: put a generation into the tag and ignore old ones.
func (c *Ctx) Wake(at time.Time, tag string) {
	if at.Before(c.Now) {
		at = c.Now
	}
	c.Effects = append(c.Effects, Effect{Kind: EffWake, At: at, Tag: tag, Cause: c.Cause})
}

// Notify asks for MsgFile whenever the file at path, or what a link there leads
// to, changes on the actor's host, as inotify tells a process. It lasts as long
// as the process.
func (c *Ctx) Notify(path string) {
	c.Effects = append(c.Effects, Effect{Kind: EffNotify, Tag: path})
}

// Unfold tells the client at the other end of a connection, by its number, that
// one renewal does not stand for many any more, because somebody else changed
// what is renewed: it gets MsgUnfold.
func (c *Ctx) Unfold(conn uint64) {
	c.Effects = append(c.Effects, Effect{Kind: EffUnfold, Stream: conn, Cause: c.Cause})
}

// Exit ends the actor's process with that status.
func (c *Ctx) Exit(code int) {
	c.Effects = append(c.Effects, Effect{Kind: EffExit, Code: code, Cause: c.Cause})
}

// UnitOrder asks the host's init to start, stop or restart a unit; the answer
// comes as MsgUnit with the same stream.
func (c *Ctx) UnitOrder(verb, unit string) uint64 {
	s := c.NextStream()
	c.Effects = append(c.Effects, Effect{Kind: EffUnit, Verb: verb, Unit: unit, Stream: s, Cause: c.Cause})
	return s
}

// Addresses are all that the host has, the first before the others.
func (c *Ctx) Addresses() []string {
	if c.IP == "" {
		return nil
	}
	return append([]string{c.IP}, c.Also...)
}

// SetAddress gives the host an address more, or takes one away.
func (c *Ctx) SetAddress(ip string, has bool) {
	verb := "del"
	if has {
		verb = "add"
	}
	c.Effects = append(c.Effects, Effect{Kind: EffAddress, Verb: verb, Tag: ip, Cause: c.Cause})
}

// SetClock sets the host's clock.
func (c *Ctx) SetClock(t time.Time) {
	c.Effects = append(c.Effects, Effect{Kind: EffClock, At: t, Cause: c.Cause})
}

// Note records an observation by this actor and returns its ID.
func (c *Ctx) Note(kind trace.Kind, subject string, args map[string]string, payload string) uint64 {
	return c.Observe(trace.Observation{At: c.Now, Cause: c.Cause, Actor: c.Actor(), Kind: kind, Subject: subject, Args: args, Payload: payload})
}

// Log writes a line to the unit's journal as klog words it:
// "I0101 00:00:05.249661   14655 server.go:991] msg". Level is 'I', 'W' or
// 'E'; v is the verbosity that shows it; msg comes without the header.
func (c *Ctx) Log(level byte, v int, source, msg string) {
	c.line = append(c.header(level, source), msg...)
	c.LogLine(level, v, string(c.line))
}

// LogKV is Log of what KV renders.
func (c *Ctx) LogKV(level byte, v int, source, msg string, kv ...any) {
	c.line = appendKV(c.header(level, source), msg, kv...)
	c.LogLine(level, v, string(c.line))
}

// Say writes a line of a program that may not log: one without a level is printed as it
// is, one with a key is structured.
func (c *Ctx) Say(level byte, source, msg, key, text string) {
	switch {
	case level == 0:
		c.LogLine('E', 0, text)
	case key == "":
		c.Log(level, 0, source, text)
	default:
		c.LogKV(level, 0, source, msg, key, text)
	}
}

// header is what klog writes before a message.
func (c *Ctx) header(level byte, source string) []byte {
	t := c.Local()
	b := append(c.line[:0], level)
	b = digits(b, int(t.Month()), 2, '0')
	b = digits(b, t.Day(), 2, '0')
	b = append(b, ' ')
	b = digits(b, t.Hour(), 2, '0')
	b = append(b, ':')
	b = digits(b, t.Minute(), 2, '0')
	b = append(b, ':')
	b = digits(b, t.Second(), 2, '0')
	b = append(b, '.')
	b = digits(b, t.Nanosecond()/1000, 6, '0')
	b = append(b, ' ')
	b = digits(b, c.PID, 7, ' ')
	b = append(b, ' ')
	return append(append(b, source...), "] "...)
}

// digits writes n with at least width characters.
func digits(b []byte, n, width int, fill byte) []byte {
	for limit := 10; width > 1; width, limit = width-1, limit*10 {
		if n < limit {
			for ; width > 1; width-- {
				b = append(b, fill)
			}
			break
		}
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// LogLine writes a line to the unit's journal as it is.
func (c *Ctx) LogLine(level byte, v int, line string) {
	c.Observe(trace.Observation{At: c.Now, Cause: c.Cause, Actor: c.Actor(), Kind: trace.Log, Subject: c.Unit, Args: logArgs(level, v), Payload: line})
	if c.Journal != nil {
		c.Journal(line)
	}
}

// usual are the Args of nearly all log lines: Args never change once they are
// noted, so lines share them.
var usual = func() (out [128][10]map[string]string) {
	for _, level := range "IWEF" {
		for v := range out[level] {
			out[level][v] = map[string]string{"level": string(level), "v": strconv.Itoa(v)}
		}
	}
	return out
}()

func logArgs(level byte, v int) map[string]string {
	if int(level) < len(usual) && v >= 0 && v < len(usual[level]) && usual[level][v] != nil {
		return usual[level][v]
	}
	return map[string]string{"level": string(rune(level)), "v": strconv.Itoa(v)}
}

// AppendQuote is strconv.AppendQuote, quicker for what is nearly always quoted:
// printable ASCII.
func AppendQuote(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// KV renders structured log text as klog's text format does: KV("msg", "k", v …)
// gives `"msg" k="v"`. Strings are quoted, other values printed plainly.
func KV(msg string, kv ...any) string {
	return string(appendKV(make([]byte, 0, 128), msg, kv...))
}

func appendKV(b []byte, msg string, kv ...any) []byte {
	b = AppendQuote(b, msg)
	for i := 0; i+1 < len(kv); i += 2 {
		name, _ := kv[i].(string)
		b = append(append(append(b, ' '), name...), '=')
		switch v := kv[i+1].(type) {
		case string:
			if strings.Contains(v, "\n") {
				b = append(append(append(b, "<\n\t"...), strings.ReplaceAll(v, "\n", "\n\t")...), "\n >"...)
				continue
			}
			b = AppendQuote(b, v)
		case error:
			b = AppendQuote(b, v.Error())
		case fmt.Stringer:
			b = AppendQuote(b, v.String())
		default:
			b = fmt.Append(b, v)
		}
	}
	return b
}

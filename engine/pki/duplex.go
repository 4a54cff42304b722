package pki

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

// duplex is two ends of a buffered pipe: writes never block, because with
// net.Pipe a refused certificate leaves both sides writing.
func duplex() (net.Conn, net.Conn) {
	ab, ba := newHalf(), newHalf()
	return &end{r: ba, w: ab}, &end{r: ab, w: ba}
}

// half is one direction.
type half struct {
	mu     sync.Mutex
	cond   *sync.Cond
	buf    bytes.Buffer
	closed bool
}

func newHalf() *half {
	h := &half{}
	h.cond = sync.NewCond(&h.mu)
	return h
}

func (h *half) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.buf.Len() == 0 {
		if h.closed {
			return 0, io.EOF
		}
		h.cond.Wait()
	}
	return h.buf.Read(p)
}

func (h *half) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, io.ErrClosedPipe
	}
	h.cond.Broadcast()
	return h.buf.Write(p)
}

func (h *half) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.cond.Broadcast()
}

type end struct{ r, w *half }

var _ net.Conn = (*end)(nil)

func (e *end) Read(p []byte) (int, error)  { return e.r.Read(p) }
func (e *end) Write(p []byte) (int, error) { return e.w.Write(p) }

// Close ends both directions; what was written can still be read.
func (e *end) Close() error { e.r.close(); e.w.close(); return nil }

func (e *end) LocalAddr() net.Addr              { return &net.IPAddr{} }
func (e *end) RemoteAddr() net.Addr             { return &net.IPAddr{} }
func (e *end) SetDeadline(time.Time) error      { return nil }
func (e *end) SetReadDeadline(time.Time) error  { return nil }
func (e *end) SetWriteDeadline(time.Time) error { return nil }

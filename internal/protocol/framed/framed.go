// Package framed reads connections on which clients send one frame after the other, in batches: all
// frames that have arrived are passed to a Consumer together, and no more data is read until the
// Consumer has taken them, so that a waiting Consumer stops the client. The buffer grows with the
// data that arrives, in the memory of the intake.
package framed

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

const (
	// minBuffer is the buffer of an idle connection, and maxBatch the maximum buffer of a
	// connection whose frames are smaller than it; in bytes.
	minBuffer = 512
	maxBatch  = 64 << 10
)

// Errors that end a connection.
var (
	// ErrSlow is returned if a frame did not arrive in time.
	ErrSlow = errors.New("a frame did not arrive in time")
	// ErrTooLarge is returned if a frame is larger than Config.MaxFrame, or than the memory.
	ErrTooLarge = errors.New("a frame is too large")
	// ErrCut is returned if the connection ended within a frame.
	ErrCut = errors.New("the connection ended within a frame")
	// ErrNoMemory is returned if there was no memory for a frame in time.
	ErrNoMemory = errors.New("there was no capacity for a frame in time")
)

// Consumer takes the frames of one connection.
type Consumer interface {
	// Consume takes the complete frames that data begins with and returns their length. It is
	// called again with the remaining data and more. If the data has ended, a frame without an end
	// may be complete. An error ends the connection. Data is not used after Consume returns.
	Consume(ctx context.Context, data []byte, ended bool) (used int, err error)
}

// Memory lends the buffers.
type Memory interface {
	// Lend returns a packet with a buffer of at least that many bytes as soon as there is memory,
	// or nil when ctx ends.
	Lend(ctx context.Context, size int) *packet.Packet
	// Release returns the packet.
	Release(*packet.Packet)
	// Fits reports whether that many bytes, as Footprint counts them, can ever be lent at once.
	Fits(bytes int64) bool
}

// Config bounds a connection.
type Config struct {
	MaxFrame int // bytes
	// Timeout bounds the time in which a frame arrives after its first byte.
	Timeout time.Duration
	// Delay is the time that a small batch waits for more data.
	Delay time.Duration
	// Hold bounds the time for which a frame that has begun to arrive waits to be read, because there
	// is no memory; 0 does not bound it.
	Hold time.Duration
}

// Read reads a connection until it ends, ctx ends or the consumer fails. The error is nil when the
// connection ended between two frames. When ctx ends, the deadline for reads of the connection must
// have been set to a time in the past, and all data that was read is consumed.
func Read(ctx context.Context, conn net.Conn, config Config, memory Memory, consumer Consumer) error {
	noWait, cancel := context.WithCancel(ctx)
	cancel()
	r := &reader{ctx: ctx, noWait: noWait, conn: conn, config: config, memory: memory, size: minBuffer}
	defer r.release()
	for {
		ended, err := r.fill()
		if err != nil {
			return err
		}
		if r.buffer == nil {
			return nil
		}
		used, err := consumer.Consume(ctx, r.buffer.Body, ended && ctx.Err() == nil)
		if err != nil {
			return err
		}
		r.discard(used)
		if ended {
			return r.end()
		}
	}
}

// reader is one connection. Its buffer begins with the incomplete frame, if there is one.
type reader struct {
	ctx    context.Context
	noWait context.Context // has ended
	conn   net.Conn
	config Config
	memory Memory
	buffer *packet.Packet // nil: empty
	size   int            // bytes, of the next empty buffer
	begun  time.Time      // when the first byte of the buffer arrived
	fault  error          // why the connection ended
}

// fill reads available data, at least one byte unless the connection has ended.
func (r *reader) fill() (ended bool, err error) {
	begins := r.buffer == nil
	if err := r.grow(); err != nil {
		return false, err
	}
	switch {
	case r.buffer == nil: // the connection is to be closed
		return true, nil
	case begins && len(r.buffer.Body) > 0: // more need not follow
		return false, nil
	}
	var deadline time.Time // none between frames
	if len(r.buffer.Body) > 0 {
		deadline = r.begun.Add(r.config.Timeout)
	}
	if ended = r.read(deadline); ended || r.config.Delay == 0 {
		return ended, r.slow()
	}
	deadline = time.Now().Add(r.config.Delay)
	for !ended && len(r.buffer.Body) < cap(r.buffer.Body) {
		ended = r.read(deadline)
	}
	if errors.Is(r.fault, os.ErrDeadlineExceeded) && r.ctx.Err() == nil {
		r.fault, ended = nil, false // the batch is complete
	}
	return ended, nil
}

// slow returns ErrSlow if the read has timed out.
func (r *reader) slow() error {
	if errors.Is(r.fault, os.ErrDeadlineExceeded) && r.ctx.Err() == nil {
		return ErrSlow
	}
	return nil
}

// read reads once, and reports whether the connection has ended.
func (r *reader) read(deadline time.Time) (ended bool) {
	body := r.buffer.Body
	n, err := r.receive(body[len(body):cap(body)], deadline)
	if len(body) == 0 && n > 0 {
		r.begun = time.Now()
	}
	r.buffer.Body = body[:len(body)+n]
	r.fault = err
	return err != nil
}

// receive reads once.
func (r *reader) receive(into []byte, deadline time.Time) (n int, err error) {
	_ = r.conn.SetReadDeadline(deadline)
	if r.ctx.Err() != nil { // the read may have replaced the deadline of the end
		_ = r.conn.SetReadDeadline(time.Unix(1, 0))
	}
	return r.conn.Read(into)
}

// begin takes the buffer of the next frame. Without memory, Config.Hold begins with the first byte,
// so that a connection on which nothing arrives is not closed.
func (r *reader) begin() error {
	if r.config.Hold == 0 {
		r.buffer = r.memory.Lend(r.ctx, r.size)
		return nil
	}
	if r.buffer = r.memory.Lend(r.noWait, r.size); r.buffer != nil {
		return nil
	}
	var first [1]byte
	if _, err := r.receive(first[:], time.Time{}); err != nil {
		return nil //nolint:nilerr // the connection ended between two frames
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.config.Hold)
	defer cancel()
	r.buffer = r.memory.Lend(ctx, r.size)
	switch {
	case r.buffer != nil:
		r.buffer.Body, r.begun = append(r.buffer.Body, first[0]), time.Now()
		return nil
	case r.ctx.Err() != nil:
		return nil
	}
	return ErrNoMemory
}

// grow makes capacity for at least one byte. A frame that fills the buffer gets a larger buffer.
func (r *reader) grow() error {
	if r.buffer == nil {
		return r.begin()
	}
	held := len(r.buffer.Body)
	if held < cap(r.buffer.Body) {
		return nil
	}
	if held > r.config.MaxFrame {
		return ErrTooLarge
	}
	size := min(2*held, r.config.MaxFrame+1)
	if !r.memory.Fits(r.buffer.Footprint() + packet.FootprintOf(size)) {
		return ErrTooLarge
	}
	ctx, cancel := context.WithDeadline(r.ctx, r.begun.Add(r.config.Timeout))
	defer cancel()
	larger := r.memory.Lend(ctx, size)
	if larger == nil {
		return ErrNoMemory
	}
	r.replace(larger)
	return nil
}

// discard removes consumed data. The next buffer has the size that the batches need.
func (r *reader) discard(used int) {
	held, capacity := len(r.buffer.Body), cap(r.buffer.Body)
	switch {
	case held == capacity && used > 0:
		r.size = min(2*r.size, maxBatch)
	case held < r.size/4:
		r.size = max(r.size/2, minBuffer)
	}
	rest := copy(r.buffer.Body, r.buffer.Body[used:])
	r.buffer.Body = r.buffer.Body[:rest]
	switch {
	case rest == 0:
		r.release()
	case used == 0:
		// the frame continues
	case capacity < r.size || capacity > 4*max(r.size, rest):
		r.begun = time.Now()
		if fitting := r.memory.Lend(r.noWait, max(r.size, rest)); fitting != nil {
			r.replace(fitting)
		}
	default:
		r.begun = time.Now()
	}
}

// replace copies the content to another buffer.
func (r *reader) replace(next *packet.Packet) {
	next.Body = append(next.Body, r.buffer.Body...)
	r.release()
	r.buffer = next
}

func (r *reader) release() {
	if r.buffer != nil {
		r.memory.Release(r.buffer)
		r.buffer = nil
	}
}

// end returns the error with which the connection has ended.
func (r *reader) end() error {
	if r.buffer != nil && len(r.buffer.Body) > 0 {
		return ErrCut
	}
	if r.fault != nil && !errors.Is(r.fault, io.EOF) && r.ctx.Err() == nil {
		return r.fault
	}
	return nil
}

// Refusal returns the refusal of the frame for which Read has ended, or nil if there is none.
func Refusal(err error) *problem.Problem {
	var code problem.Code
	switch {
	case errors.Is(err, ErrSlow):
		code = problem.SlowRequest
	case errors.Is(err, ErrTooLarge):
		code = problem.TooLarge
	case errors.Is(err, ErrCut):
		code = problem.Malformed
	case errors.Is(err, ErrNoMemory):
		code = problem.Overloaded
	default:
		return nil
	}
	return &problem.Problem{Code: code, Detail: err.Error()}
}

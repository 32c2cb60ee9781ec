package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// deadlineSweeper enforces the read and write deadlines of all connections. It
// checks them a few times a second, which is far cheaper than setting deadlines and
// reading the clock for every request; a deadline may be exceeded by one interval.
type deadlineSweeper struct {
	timeouts Timeouts
	interval time.Duration
	started  time.Time
	now      atomic.Int64 // nanoseconds since started, as of the last sweep
	stop     chan struct{}
	stopped  sync.WaitGroup
}

// expired is the read deadline of a connection whose deadline the sweeper enforced.
const expired = -1

func newDeadlineSweeper(timeouts Timeouts) *deadlineSweeper {
	return &deadlineSweeper{
		timeouts: timeouts,
		interval: min(max(min(timeouts.Read, timeouts.Idle, timeouts.Write)/16, 5*time.Millisecond), 250*time.Millisecond),
		started:  time.Now(),
		stop:     make(chan struct{}),
	}
}

// run calls sweep once an interval until end is called.
func (p *deadlineSweeper) run(sweep func(now int64)) {
	p.stopped.Go(func() {
		ticker := time.NewTicker(p.interval)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-ticker.C:
			}
			now := int64(time.Since(p.started))
			p.now.Store(now)
			sweep(now)
		}
	})
}

func (p *deadlineSweeper) end() {
	close(p.stop)
	p.stopped.Wait()
}

// after returns the deadline that is a timeout from now.
func (p *deadlineSweeper) after(timeout time.Duration) int64 { return p.now.Load() + int64(timeout) }

// deadlines are those of one connection, in the sweeper's time.
type deadlines struct {
	sweeper *deadlineSweeper
	read    atomic.Int64 // or expired
	write   atomic.Int64 // 0 while nothing is written
	setting sync.Mutex   // guards the connection's own read deadline
}

// deadlineSetter is a connection. A deadline in the past fails its pending calls.
type deadlineSetter interface {
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

var longAgo = time.Unix(1, 0)

// enforce fails reads and writes whose deadline has passed.
func (w *deadlines) enforce(conn deadlineSetter, now int64) {
	if by := w.write.Load(); by != 0 && by < now {
		_ = conn.SetWriteDeadline(longAgo)
	}
	w.enforceRead(conn, now)
}

// enforceRead fails reads whose deadline has passed.
func (w *deadlines) enforceRead(conn deadlineSetter, now int64) {
	by := w.read.Load()
	if by == expired || by >= now {
		return
	}
	w.setting.Lock()
	defer w.setting.Unlock()
	if w.read.CompareAndSwap(by, expired) {
		_ = conn.SetReadDeadline(longAgo)
	}
}

// startRead sets the read deadline. A handler may have worked for longer than the
// last one, so startRead revokes that one if it was enforced.
func (w *deadlines) startRead(conn deadlineSetter, timeout time.Duration) {
	if w.read.Swap(w.sweeper.after(timeout)) != expired {
		return
	}
	w.setting.Lock()
	defer w.setting.Unlock()
	_ = conn.SetReadDeadline(time.Time{})
}

func (w *deadlines) startWrite() { w.write.Store(w.sweeper.after(w.sweeper.timeouts.Write)) }
func (w *deadlines) endWrite()   { w.write.Store(0) }

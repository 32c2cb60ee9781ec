package ingest

import (
	"sync"
	"sync/atomic"
	"time"
)

// patrol ends waits on connections that last too long. It looks at all of them
// a few times a second, which costs far less than to set deadlines, and to read
// the clock, for every request; so a wait may last a little longer than it is
// allowed.
type patrol struct {
	timeouts Timeouts
	round    time.Duration
	started  time.Time
	now      atomic.Int64 // time since started, as of the last round
	stop     chan struct{}
	stopped  sync.WaitGroup
}

// expired stands for a wait for bytes that the patrol has ended.
const expired = -1

func newPatrol(timeouts Timeouts) *patrol {
	return &patrol{
		timeouts: timeouts,
		round:    min(max(min(timeouts.Read, timeouts.Idle, timeouts.Write)/16, 5*time.Millisecond), 250*time.Millisecond),
		started:  time.Now(),
		stop:     make(chan struct{}),
	}
}

// run makes rounds until it is ended. look is called in each, to end what lasts
// too long.
func (p *patrol) run(look func(now int64)) {
	p.stopped.Go(func() {
		ticker := time.NewTicker(p.round)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-ticker.C:
			}
			now := int64(time.Since(p.started))
			p.now.Store(now)
			look(now)
		}
	})
}

func (p *patrol) end() {
	close(p.stop)
	p.stopped.Wait()
}

// in returns when a wait that begins now is too long.
func (p *patrol) in(wait time.Duration) int64 { return p.now.Load() + int64(wait) }

// waits are until when one connection may wait for its client.
type waits struct {
	patrol *patrol
	read   atomic.Int64 // or expired
	write  atomic.Int64 // 0: it writes nothing
	ending sync.Mutex   // held while deadlines are set
}

// deadlines are how a wait is ended: by one in the past.
type deadlines interface {
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

var longAgo = time.Unix(1, 0)

// end ends the waits that are too long.
func (w *waits) end(conn deadlines, now int64) {
	if by := w.write.Load(); by != 0 && by < now {
		_ = conn.SetWriteDeadline(longAgo)
	}
	w.endReading(conn, now)
}

// endReading ends the wait for the client's bytes if it is too long.
func (w *waits) endReading(conn deadlines, now int64) {
	by := w.read.Load()
	if by == expired || by >= now {
		return
	}
	w.ending.Lock()
	defer w.ending.Unlock()
	if w.read.CompareAndSwap(by, expired) {
		_ = conn.SetReadDeadline(longAgo)
	}
}

// forBytes begins the wait for the client's bytes. A handler may have worked
// for longer than the request was allowed to take, so it undoes that end.
func (w *waits) forBytes(conn deadlines, wait time.Duration) {
	if w.read.Swap(w.patrol.in(wait)) != expired {
		return
	}
	w.ending.Lock()
	defer w.ending.Unlock()
	_ = conn.SetReadDeadline(time.Time{})
}

func (w *waits) forWriting() { w.write.Store(w.patrol.in(w.patrol.timeouts.Write)) }
func (w *waits) written()    { w.write.Store(0) }

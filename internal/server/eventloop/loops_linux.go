//go:build !noeventloop

package eventloop

import (
	"math"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Loops are event loops, one for each processor.
type Loops struct {
	each []*Loop
	next int // used by the goroutine that calls Add
}

// New starts loops. If epoll is not available it returns none and logs the reason.
func New(deps Dependencies) *Loops {
	all := new(Loops)
	for range runtime.GOMAXPROCS(0) {
		p, err := newPoller()
		if err != nil {
			deps.Logger.Warn("connections are served by a goroutine each, which takes more processor time", "error", err)
			for _, l := range all.each {
				l.poller.close()
			}
			return new(Loops)
		}
		all.each = append(all.each, newLoop(deps, p))
	}
	for _, l := range all.each {
		go l.run()
	}
	return all
}

// Add moves a connection, whose first request must begin within a time, to a loop, or
// reports that it is impossible. It must not be called concurrently.
func (a *Loops) Add(conn net.Conn, client netip.Addr, within time.Duration) bool {
	if len(a.each) == 0 {
		return false
	}
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	copied := -1
	err = control.Control(func(descriptor uintptr) {
		copied, _ = unix.FcntlInt(descriptor, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil || copied < 0 {
		return false
	}
	_ = conn.Close() // the copy is not registered with the runtime's poller
	l := a.each[a.next%len(a.each)]
	a.next++
	l.open.Add(1)
	l.Post(&Conn{loop: l, descriptor: copied, client: client, within: within})
	return true
}

// Count returns the number of open connections.
func (a *Loops) Count() int {
	count := 0
	for _, l := range a.each {
		count += int(l.open.Load())
	}
	return count
}

// Sweep enforces read deadlines; now is in nanoseconds since any moment.
func (a *Loops) Sweep(now int64) { a.post(sweep(now)) }

type sweep int64

func (now sweep) Handle(l *Loop) {
	l.swept = int64(now)
	l.expire(int64(now))
}

// Drain makes the response to each further request close its connection.
func (a *Loops) Drain() { a.post(drain{}) }

type drain struct{}

func (drain) Handle(l *Loop) { l.draining = true }

// Release makes each connection fall back once no request is under way on it.
func (a *Loops) Release() { a.post(release{}) }

type release struct{}

func (release) Handle(l *Loop) {
	l.releasing = true
	for _, c := range l.conns {
		if c != nil && c.state == idle {
			l.fallBack(c, Fallback{})
		}
	}
}

// FailReads fails all pending and future reads.
func (a *Loops) FailReads() { a.post(failReads{}) }

type failReads struct{}

func (failReads) Handle(l *Loop) {
	l.failing = true
	l.expire(math.MaxInt64)
}

// Close stops the loops and closes the open connections.
func (a *Loops) Close() {
	a.post(stop{})
	for _, l := range a.each {
		<-l.stopped
	}
}

type stop struct{}

func (stop) Handle(l *Loop) { l.stopping = true }

func (a *Loops) post(e Event) {
	for _, l := range a.each {
		l.Post(e)
	}
}

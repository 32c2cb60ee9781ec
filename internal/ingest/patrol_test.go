package ingest

import (
	"bufio"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// guarded returns a connection that a patrol looks after, and its client.
func guarded(t *testing.T) (*connection, net.Conn) {
	t.Helper()
	p := newPatrol(Timeouts{Read: 10 * time.Second, Idle: time.Minute, Write: 5 * time.Second})
	served, client := net.Pipe()
	c := &connection{Conn: served, from: newOpenings(nil, p), resting: true, waits: waits{patrol: p}}
	c.waits.forBytes(served, p.timeouts.Read)
	p.run(func(now int64) { c.waits.end(served, now) })
	t.Cleanup(func() {
		p.end()
		served.Close()
		client.Close()
	})
	return c, client
}

// servedByFallback returns the client of a connection that a patrol looks after
// and the fallback serves.
func servedByFallback(t *testing.T) *client {
	t.Helper()
	c, near := guarded(t)
	h := newHandler(t, standard(), &greedyJournal{})
	fallback := h.newFallback(discard())
	fallback.Handler = h.Handle
	go fallback.ServeConn(c) //nolint:errcheck // the client sees what becomes of it
	return &client{&fixture{T: t, handler: h}, near, bufio.NewReader(near)}
}

// within reports how long work took, which must be at least from and, by the
// patrol's rounds, little more.
func within(t *testing.T, what string, from time.Duration, work func() error) {
	t.Helper()
	started := time.Now()
	err := work()
	if took := time.Since(started); took < from-time.Second || took > from+time.Second {
		t.Errorf("%s ends after %v with %v, want about %v", what, took, err, from)
	}
	if err == nil {
		t.Errorf("%s does not fail", what)
	}
}

func TestWaitsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := guarded(t)
		read := func() error { _, err := c.Read(make([]byte, 10)); return err }
		go client.Write([]byte("a")) //nolint:errcheck // the other side fails when it does
		if err := read(); err != nil {
			t.Fatal(err)
		}
		within(t, "the wait for the rest of a request", 10*time.Second, read)
		within(t, "an answer that nobody reads", 5*time.Second, func() error {
			_, err := c.Write([]byte("answer"))
			return err
		})
	})
}

func TestIdleConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := guarded(t)
		go client.Read(make([]byte, 10)) //nolint:errcheck // the other side fails when it does
		if _, err := c.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		within(t, "the wait for the next request", time.Minute, func() error {
			_, err := c.Read(make([]byte, 10))
			return err
		})
	})
}

// The library's server tells the patrol when each request begins, also of one
// whose beginning came with the end of the one before.
func TestNextRequestHasItsTime(t *testing.T) {
	one, two := post(aPacket("1", 1000)), post(aPacket("2", 1000))
	for name, early := range map[string]int{"apart": 0, "pipelined": len(two) / 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := servedByFallback(t)
				c.send(one[:500])
				time.Sleep(8 * time.Second)
				c.send(one[500:] + two[:early])
				c.answer().wantAccepted(t, "1")
				if early == 0 {
					time.Sleep(30 * time.Second)
					c.send(two[:1])
					early = 1
				}
				time.Sleep(8 * time.Second)
				c.send(two[early:])
				c.answer().wantAccepted(t, "2")
				c.send(one[:500])
				answered := make(chan answer, 1)
				within(t, "the wait for the rest of a request", 10*time.Second, func() error {
					answered <- c.answer()
					return os.ErrDeadlineExceeded
				})
				(<-answered).wantRefusal(t, 408, problem.SlowRequest)
			})
		})
	}
}

// Who may send a body has no more time for it than others.
func TestInvitedBodyHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := guarded(t)
		go func() {
			client.Write([]byte("a"))     //nolint:errcheck // the other side fails when it does
			client.Read(make([]byte, 99)) //nolint:errcheck // the other side fails when it does
		}()
		buffer := make([]byte, 10)
		if _, err := c.Read(buffer); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		within(t, "the wait for a body", 10*time.Second, func() error {
			_, err := c.Read(buffer)
			return err
		})
	})
}

// A handler may work for longer than a request may take to arrive: that does
// not end the connection.
func TestLongWorkIsNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := guarded(t)
		buffer := make([]byte, 10)
		go client.Write([]byte("a")) //nolint:errcheck // the other side fails when it does
		if _, err := c.Read(buffer); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second) // the handler works
		go func() {
			client.Read(make([]byte, 10)) //nolint:errcheck // the other side fails when it does
			client.Write([]byte("b"))     //nolint:errcheck // the other side fails when it does
			client.Read(make([]byte, 10)) //nolint:errcheck // the other side fails when it does
		}()
		if _, err := c.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(buffer); err != nil {
			t.Errorf("the next request cannot be read: %v", err)
		}
		time.Sleep(30 * time.Second)
		if _, err := c.Write([]byte("answer")); err != nil {
			t.Errorf("the next answer cannot be written: %v", err)
		}
	})
}

package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/server/eventloop"
)

// servedByGoroutine returns the client of a connection that has a goroutine, over a
// pipe.
func servedByGoroutine(t *testing.T, work time.Duration) *client {
	t.Helper()
	e := &echo{work: work}
	timeouts := DefaultTimeouts()
	timeouts.Read, timeouts.Idle, timeouts.Write = 10*time.Second, time.Minute, 5*time.Second
	s := &Server{
		deps: Dependencies{Routes: e.route, Protocol: e}, sweeper: newDeadlineSweeper(timeouts),
		connections: newConnTracker(), clients: clientquota.New(1, 1), loops: new(eventloop.Loops),
	}
	s.sweeper.run(s.sweep)
	served, near := net.Pipe()
	s.clients.Take(clientquota.ClientOf(served.RemoteAddr()), 1)
	s.serveConnection(&connection{Fallback: eventloop.Fallback{Conn: served}}, timeouts.Read)
	t.Cleanup(func() {
		_ = near.Close()
		s.connections.close()
		s.sweeper.end()
	})
	return &client{t, near, bufio.NewReader(near)}
}

var thousand = strings.Repeat("1", 1000)

// within reports how long work took, which must be at least from and, by the
// sweeper's rounds, little more.
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

func TestResponseThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servedByGoroutine(t, 0)
		c.send(post(thousand))
		time.Sleep(6 * time.Second) // the pipe takes nothing unless it is read
		within(t, "the connection", 0, c.ends)
	})
}

// What a client sends behind its last request is discarded for a while: a reset could destroy the
// response.
func TestLastResponseLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servedByGoroutine(t, 0)
		c.send(post(thousand, "Connection: close"))
		c.want(http.StatusOK, thousand)
		c.send(thousand)
		within(t, "the connection", DefaultTimeouts().Linger, c.ends)
	})
}

func TestIdleConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servedByGoroutine(t, 0)
		c.send(post(thousand))
		c.want(http.StatusOK, thousand)
		within(t, "the wait for the next request", time.Minute, c.ends)
	})
}

// Each request has its own time, also one whose beginning came with the end of the
// one before.
func TestNextRequestHasItsTime(t *testing.T) {
	one, two := post(thousand), post(thousand)
	for name, early := range map[string]int{"apart": 0, "pipelined": len(two) / 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := servedByGoroutine(t, 0)
				c.send(one[:500])
				time.Sleep(8 * time.Second)
				go io.WriteString(c.conn, one[500:]+two[:early]) //nolint:errcheck // the server answers before it reads all
				c.want(http.StatusOK, thousand)
				if early == 0 {
					time.Sleep(30 * time.Second)
					c.send(two[:1])
					early = 1
				}
				time.Sleep(8 * time.Second)
				c.send(two[early:])
				c.want(http.StatusOK, thousand)
				c.send(one[:500])
				within(t, "the wait for the rest of a request", 10*time.Second, func() error {
					c.want(http.StatusRequestTimeout, "")
					return os.ErrDeadlineExceeded
				})
			})
		})
	}
}

// A body that the client was invited to send has no more time than others.
func TestInvitedBodyHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servedByGoroutine(t, 0)
		text := post(thousand, "Expect: 100-continue")
		c.send(text[:len(text)-1000])
		c.want(http.StatusContinue, "")
		within(t, "the wait for a body", 10*time.Second, func() error {
			c.want(http.StatusRequestTimeout, "")
			return os.ErrDeadlineExceeded
		})
	})
}

// A handler may work for longer than a request may take to arrive: that does
// not end the connection.
func TestLongWorkIsNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servedByGoroutine(t, 30*time.Second)
		for range 2 {
			c.send(post(thousand))
			c.want(http.StatusOK, thousand)
		}
	})
}

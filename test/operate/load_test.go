//go:build linux

package operate

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// load sends packets over kept connections, none of which may ever end, and over new connections,
// none of which may be refused.
type load struct {
	*testing.T
	dial     func() (net.Conn, error)
	messages int // maximum, in a packet
	stopping atomic.Bool
	sending  sync.WaitGroup
	sent     atomic.Int64

	mu       sync.Mutex // guards accepted
	accepted []string
}

// startLoad starts a load, and waits until each connection has been used.
func startLoad(t *testing.T, ingest string, connections int) *load {
	return startLoadOver(t, connections, func() (net.Conn, error) { return net.Dial("tcp", ingest) })
}

// startLoadOver is startLoad with a dial function.
func startLoadOver(t *testing.T, connections int, dial func() (net.Conn, error)) *load {
	return (&load{T: t, dial: dial, messages: 1}).start(connections)
}

func (l *load) start(connections int) *load {
	l.Helper()
	for i := range connections {
		l.sending.Go(func() { l.keep(fmt.Sprintf("kept-%d", i)) })
	}
	l.sending.Go(l.dialAnew)
	l.Cleanup(func() {
		l.stopping.Store(true)
		l.sending.Wait()
	})
	l.awaitMore(int64(2 * connections))
	return l
}

// awaitMore waits until that many more packets were accepted.
func (l *load) awaitMore(packets int64) {
	l.Helper()
	want := l.sent.Load() + packets
	await(l.T, "more packets are accepted", func() bool { return l.sent.Load() >= want })
}

// end stops the load and checks that the analyzers have taken every accepted packet.
func (l *load) end(analyzers ...*analyzertest.Analyzer) {
	l.Helper()
	l.stopping.Store(true)
	l.sending.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	var taken map[string]int
	lost := 0
	await(l.T, "everything is delivered", func() bool {
		taken = takenBy(analyzers)
		lost = 0
		for _, id := range l.accepted {
			if taken[id] == 0 {
				lost++
			}
		}
		return lost == 0
	})
	again := 0
	for _, times := range taken {
		again += times - 1
	}
	l.Logf("%d packets accepted, %d lost, %d delivered again", len(l.accepted), lost, again)
}

// takenBy returns the number of deliveries of each packet to the analyzers.
func takenBy(analyzers []*analyzertest.Analyzer) map[string]int {
	all := make(map[string]int)
	for _, a := range analyzers {
		for id, times := range a.Taken() {
			all[id] += times
		}
	}
	return all
}

// keep sends over one connection.
func (l *load) keep(emitter string) {
	conn, err := l.dial()
	if err != nil {
		l.Error(err)
		return
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for n := 0; !l.stopping.Load(); n++ {
		if !l.send(conn, reader, emitter, fmt.Sprintf("%s-%d", emitter, n)) {
			return
		}
		time.Sleep(2 * time.Millisecond) // the rate of the load
	}
}

// dialAnew sends each packet over a new connection.
func (l *load) dialAnew() {
	for n := 0; !l.stopping.Load(); n++ {
		conn, err := l.dial()
		if err != nil {
			l.Errorf("a connection is refused: %v", err)
			return
		}
		ok := l.send(conn, bufio.NewReader(conn), "anew", fmt.Sprintf("anew-%d", n))
		_ = conn.Close()
		if !ok {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// send sends a packet and checks that it is accepted.
func (l *load) send(conn net.Conn, reader *bufio.Reader, emitter, id string) bool {
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	const message = `{"timestamp":1,"level":"INFO","message":"m"}`
	body := fmt.Sprintf(`{"emitter_id":%q,"packet_id":%q,"messages":[%s%s]}`, emitter, id, message, strings.Repeat(","+message, rand.IntN(l.messages)))
	_, err := fmt.Fprintf(conn, "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	var response *http.Response
	if err == nil {
		response, err = http.ReadResponse(reader, nil)
	}
	if err != nil {
		l.Errorf("%s: no response: %v", id, err)
		return false
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusAccepted || response.Close {
		l.Errorf("%s: %s, closes: %v, %s %v", id, response.Status, response.Close, text, err)
		return false
	}
	l.mu.Lock()
	l.accepted = append(l.accepted, id)
	l.mu.Unlock()
	l.sent.Add(1)
	return true
}

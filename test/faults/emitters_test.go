package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// outcome is what an emitter knows about a packet.
type outcome int

const (
	// unsent: there was no connection. The distributor never saw it.
	unsent outcome = iota
	// accepted: answered with 2xx.
	accepted
	// refused: answered with anything else.
	refused
	// unanswered: sent, perhaps in part, and never answered. It may arrive.
	unanswered
)

func (o outcome) String() string {
	return [...]string{"unsent", "accepted", "refused", "unanswered"}[o]
}

// emitters are many connections, each of which sends one packet after another.
// Every packet has an id of its own and is sent once, whatever the answer is, so
// that a repeat at the analyzers is the distributor's.
type emitters struct {
	url    string
	client *http.Client
	pause  atomic.Int64 // nanoseconds between two packets of a connection
	filler atomic.Int64 // bytes that each message has on top
	stop   context.CancelFunc
	ended  sync.WaitGroup

	mu       sync.Mutex // guards all below
	outcomes map[string]outcome
	counts   [unanswered + 1]int64
	codes    map[string]int64 // refusals, by code
	times    []time.Duration  // of acceptances
	refusing []time.Duration  // of refusals
	timeouts int64            // of the unanswered
	bytes    int64            // of accepted packets
}

// rest is how long a connection waits, at least, after a packet that was not
// accepted.
const rest = 10 * time.Millisecond

const requestTimeout = 15 * time.Second

// newEmitters starts connections that together send at most rate packets a
// second, until the test ends or halt is called.
func newEmitters(t *testing.T, url string, connections int, rate float64) *emitters {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	ctx, stop := context.WithCancel(t.Context())
	e := &emitters{
		url: url, stop: stop,
		client:   &http.Client{Timeout: requestTimeout, Transport: transport},
		outcomes: make(map[string]outcome), codes: make(map[string]int64),
	}
	e.pace(connections, rate)
	for connection := range connections {
		e.ended.Go(func() { e.run(ctx, connection) })
	}
	t.Cleanup(func() {
		e.halt()
		transport.CloseIdleConnections()
	})
	return e
}

// pace sets how many packets a second all connections send together, at most.
func (e *emitters) pace(connections int, rate float64) {
	e.pause.Store(int64(float64(connections) / rate * float64(time.Second)))
}

// halt lets the requests under way be answered and ends all connections.
func (e *emitters) halt() {
	e.stop()
	e.ended.Wait()
}

func (e *emitters) run(ctx context.Context, connection int) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for number := 0; ; number++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		started := time.Now()
		id := fmt.Sprintf("%d-%d", connection, number)
		pause := time.Duration(e.pause.Load())
		if e.send(id, 1+number%7) != accepted {
			pause = max(pause, rest)
		}
		timer.Reset(pause - time.Since(started))
	}
}

// send sends one packet and notes what became of it.
func (e *emitters) send(id string, messages int) outcome {
	started := time.Now()
	body := e.packet(id, messages)
	status, text, err := e.post(body)
	took := time.Since(started)

	e.mu.Lock()
	defer e.mu.Unlock()
	o := outcomeOf(status, err)
	e.outcomes[id] = o
	e.counts[o]++
	switch o {
	case accepted:
		e.times = append(e.times, took)
		e.bytes += int64(len(body))
	case refused:
		e.refusing = append(e.refusing, took)
		var why struct{ Code string }
		_ = json.Unmarshal(text, &why) // an answer without a code counts under its status
		e.codes[fmt.Sprintf("%d %s", status, why.Code)]++
	case unanswered:
		if errors.Is(err, context.DeadlineExceeded) {
			e.timeouts++
		}
	}
	return o
}

func (e *emitters) post(body string) (status int, text []byte, err error) {
	response, err := e.client.Post(e.url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	return response.StatusCode, text, err
}

func outcomeOf(status int, err error) outcome {
	var network *net.OpError
	switch {
	case errors.As(err, &network) && network.Op == "dial":
		return unsent
	case err != nil:
		return unanswered
	case status/100 == 2:
		return accepted
	default:
		return refused
	}
}

func (e *emitters) packet(id string, messages int) string {
	var text strings.Builder
	fmt.Fprintf(&text, `{"emitter_id":"matrix","packet_id":"%s","messages":[`, id)
	filler := strings.Repeat("x", int(e.filler.Load()))
	for i := range messages {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"timestamp":1640995200000,"level":"INFO","message":"%d of %s %s"}`, i, id, filler)
	}
	text.WriteString("]}")
	return text.String()
}

func (e *emitters) count(o outcome) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts[o]
}

// awaitMore returns when so many more packets had that outcome.
func (e *emitters) awaitMore(t *testing.T, o outcome, packets int64) {
	t.Helper()
	goal := e.count(o) + packets
	await(t, fmt.Sprintf("%d more packets are %v", packets, o), func() bool { return e.count(o) >= goal })
}

// refusals tells which refusals there were, by code, for people.
func (e *emitters) refusals() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(e.codes)) {
		parts = append(parts, fmt.Sprintf("%d × %s", e.codes[code], code))
	}
	return strings.Join(parts, ", ")
}

// troubles tells what went wrong, for people, or nothing.
func (e *emitters) troubles() string {
	refusals := e.refusals()
	e.mu.Lock()
	defer e.mu.Unlock()
	if refusals == "" && e.counts[unanswered]+e.counts[unsent] == 0 {
		return ""
	}
	return fmt.Sprintf("refused %q, %d unanswered (%d of them in %v), %d without a connection",
		refusals, e.counts[unanswered], e.timeouts, requestTimeout, e.counts[unsent])
}

func (e *emitters) acceptedBytes() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.bytes
}

// p99 returns the time that 99 of 100 acceptances, or refusals, took at most.
func (e *emitters) p99(refusals bool) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	times := slices.Clone(e.times)
	if refusals {
		times = slices.Clone(e.refusing)
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[len(times)*99/100]
}

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// emitters are all that send to one distributor, and what they know. Every
// packet has an id of its own, and one that was accepted, or not answered, is
// not sent again, so that a repeat at the analyzers is the distributor's.
type emitters struct {
	url    string
	client *http.Client
	ctx    context.Context
	stop   context.CancelFunc
	ended  sync.WaitGroup
	loads  map[string]*load

	mu       sync.Mutex // guards all below
	outcomes map[string]outcome
	counts   [unanswered + 1]int64
	sent     records
	bytes    int64 // of accepted packets
}

// requestTimeout is how long an emitter waits for an answer.
const requestTimeout = 15 * time.Second

// newEmitters returns emitters that send nothing yet, and nothing more when the
// test ends or halt is called.
func newEmitters(t *testing.T, url string) *emitters {
	transport := &http.Transport{MaxIdleConnsPerHost: 4096, DisableCompression: true}
	ctx, stop := context.WithCancel(t.Context())
	e := &emitters{
		url: url, ctx: ctx, stop: stop,
		client:   &http.Client{Timeout: requestTimeout, Transport: transport},
		loads:    make(map[string]*load),
		outcomes: make(map[string]outcome),
	}
	t.Cleanup(func() {
		e.halt()
		transport.CloseIdleConnections()
	})
	return e
}

// halt lets the requests under way be answered and ends all connections.
func (e *emitters) halt() {
	e.stop()
	e.ended.Wait()
}

// parcel is a packet that is to be sent.
type parcel struct {
	load, emitter, id string
	messages, filler  int // filler is how many bytes each message has on top
	due               time.Time
}

// send sends one packet and notes what became of it. A refusal may say for how
// long to wait.
func (e *emitters) send(p parcel) (o outcome, wait time.Duration) {
	body := p.body()
	response, text, err := e.post(body)
	o = outcomeOf(response, err)
	r := record{load: p.load, due: p.due, took: time.Since(p.due), outcome: o}
	if o == refused {
		var why struct{ Code string }
		_ = json.Unmarshal(text, &why) // an answer without a code counts under its status
		r.code = fmt.Sprintf("%d %s", response.StatusCode, why.Code)
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // none is no wait
		wait = time.Duration(seconds) * time.Second
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outcomes[p.id] = o
	e.counts[o]++
	e.sent = append(e.sent, r)
	if o == accepted {
		e.bytes += int64(len(body))
	}
	return o, wait
}

func (e *emitters) post(body string) (response *http.Response, text []byte, err error) {
	response, err = e.client.Post(e.url, "application/json", strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	return response, text, err
}

func outcomeOf(response *http.Response, err error) outcome {
	var network *net.OpError
	switch {
	case errors.As(err, &network) && network.Op == "dial":
		return unsent
	case err != nil:
		return unanswered
	case response.StatusCode/100 == 2:
		return accepted
	default:
		return refused
	}
}

func (p parcel) body() string {
	var text strings.Builder
	fmt.Fprintf(&text, `{"emitter_id":"%s","packet_id":"%s","messages":[`, p.emitter, p.id)
	filler := strings.Repeat("x", p.filler)
	for i := range p.messages {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"timestamp":1640995200000,"level":"INFO","message":"%d of %s %s"}`, i, p.id, filler)
	}
	text.WriteString("]}")
	return text.String()
}

// records returns what was sent so far.
func (e *emitters) records() records {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.sent)
}

func (e *emitters) count(o outcome) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts[o]
}

func (e *emitters) acceptedBytes() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.bytes
}

// awaitMore returns when so many more packets had that outcome.
func (e *emitters) awaitMore(t *testing.T, o outcome, packets int64) {
	t.Helper()
	goal := e.count(o) + packets
	await(t, fmt.Sprintf("%d more packets are %v", packets, o), func() bool { return e.count(o) >= goal })
}

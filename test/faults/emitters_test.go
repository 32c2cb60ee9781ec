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

// emitters are the senders of one distributor with the outcome of each packet.
// Every packet has a unique id, and one that was accepted or unanswered is not
// sent again, so that duplicates at the analyzers come from the distributor.
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

// requestTimeout bounds one request.
const requestTimeout = 15 * time.Second

// newEmitters returns idle emitters that stop at the end of the test or at
// halt.
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

// halt completes the requests in flight and closes all connections.
func (e *emitters) halt() {
	e.stop()
	e.ended.Wait()
}

// outgoingPacket is a packet to be sent.
type outgoingPacket struct {
	load, emitter, id string
	messages, filler  int // filler is how many bytes each message has on top
	due               time.Time
}

// send sends one packet and records its outcome. It returns the Retry-After of
// a refusal.
func (e *emitters) send(p outgoingPacket) (o outcome, wait time.Duration) {
	body := p.body()
	response, text, err := e.post(body)
	o = outcomeOf(response, err)
	r := record{load: p.load, due: p.due, took: time.Since(p.due), outcome: o}
	if o == refused {
		var why struct{ Code string }
		_ = json.Unmarshal(text, &why) // a response without a code is counted by status
		r.code = fmt.Sprintf("%d %s", response.StatusCode, why.Code)
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // 0 without the header
		wait = time.Duration(seconds) * time.Second
		r.bare = why.Code == "" || seconds < 1
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
	case response.StatusCode/100 == 2, response.StatusCode == http.StatusGatewayTimeout:
		return accepted
	default:
		return refused
	}
}

func (p outgoingPacket) body() string {
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

// records returns the requests so far.
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

// awaitMore waits for a number of further packets with that outcome.
func (e *emitters) awaitMore(t *testing.T, o outcome, packets int64) {
	t.Helper()
	goal := e.count(o) + packets
	await(t, fmt.Sprintf("%d more packets are %v", packets, o), func() bool { return e.count(o) >= goal })
}

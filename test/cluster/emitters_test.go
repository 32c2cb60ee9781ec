//go:build linux

package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// connections is the number of emitters, each of which waits for its responses.
const connections = 64

// usualPace is the time between two packets of an emitter; it leaves processor time to rows that
// run in parallel.
func usualPace() time.Duration {
	if *judge {
		return 20 * time.Millisecond
	}
	return 50 * time.Millisecond
}

// emitters send packets with unique ids, to the next distributor after each failure. A packet that
// was accepted or got no response is not sent again.
type emitters struct {
	targets []string
	prefix  string // of the packets' ids, changed only while no emitter sends
	client  *http.Client
	ended   sync.WaitGroup
	stop    atomic.Bool
	pace    atomic.Int64 // nanoseconds between two packets of an emitter
	size    atomic.Int64 // bytes of each packet's last message

	mu       sync.Mutex // guards all below
	accepted map[string]bool
	unknown  map[string]bool // without a response, or refused: it may have been stored
	refused  map[string]int  // by code
	waits    []time.Duration // of refusals
	hints    int             // refusals with Retry-After
	row      int             // the maximum number of attempts in a row that failed
	count    atomic.Int64    // of accepted
	refusals atomic.Int64
}

func newEmitters(t *testing.T, distributors []*distributor) *emitters {
	transport := &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}
	e := &emitters{
		client:   &http.Client{Timeout: 20 * time.Second, Transport: transport},
		accepted: make(map[string]bool), unknown: make(map[string]bool), refused: make(map[string]int),
	}
	e.pace.Store(int64(usualPace()))
	e.size.Store(300)
	for _, d := range distributors {
		e.targets = append(e.targets, d.url("/ingest"))
	}
	e.resume("")
	t.Cleanup(func() {
		e.halt()
		transport.CloseIdleConnections()
	})
	return e
}

// resume starts to send packets whose ids begin with a prefix; after halt the prefix must be a new
// one.
func (e *emitters) resume(prefix string) {
	e.prefix = prefix
	e.stop.Store(false)
	for i := range connections {
		e.ended.Go(func() { e.run(i) })
	}
}

// halt stops sending and waits for the last responses.
func (e *emitters) halt() {
	e.stop.Store(true)
	e.ended.Wait()
}

func (e *emitters) run(emitter int) {
	const retryInterval = 20 * time.Millisecond
	at, failed := emitter, 0
	for number := 0; !e.stop.Load(); number++ {
		id := fmt.Sprintf("%s%d-%d", e.prefix, emitter, number)
		if e.send(e.targets[at%len(e.targets)], strconv.Itoa(emitter), id) {
			time.Sleep(time.Duration(e.pace.Load()))
			failed = 0
			continue
		}
		at++
		failed++
		e.mu.Lock()
		e.row = max(e.row, failed)
		e.mu.Unlock()
		time.Sleep(retryInterval)
	}
}

// send sends a packet and reports whether it was accepted.
func (e *emitters) send(url, emitter, id string) bool {
	body := fmt.Sprintf(`{"emitter_id":%q,"packet_id":%q,"messages":[%s{"timestamp":1640995200000,"level":"INFO","message":"%s"}]}`,
		emitter, id, strings.Repeat(`{"timestamp":1640995200000,"level":"INFO","message":"one of several"},`, len(id)%4), strings.Repeat("x", int(e.size.Load())))
	started := time.Now()
	response, err := e.client.Post(url, "application/json", strings.NewReader(body))
	took := time.Since(started)
	var code struct{ Code string }
	if err == nil {
		_ = json.NewDecoder(response.Body).Decode(&code) // a response without a code is counted by its status
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err != nil:
		e.unknown[id] = true
		return false
	case response.StatusCode/100 == 2:
		e.accepted[id] = true
		e.count.Add(1)
		return true
	}
	e.unknown[id] = true
	e.refused[fmt.Sprintf("%d %s", response.StatusCode, code.Code)]++
	e.waits = append(e.waits, took)
	if response.Header.Get("Retry-After") != "" {
		e.hints++
	}
	e.refusals.Add(1)
	return false
}

// awaitMore waits until that many more packets are accepted.
func (e *emitters) awaitMore(t *testing.T, packets int64) {
	t.Helper()
	goal := e.count.Load() + packets
	await(t, fmt.Sprintf("%d more packets are accepted", packets), func() bool { return e.count.Load() >= goal })
}

// awaitRefusals waits until that many more packets are refused.
func (e *emitters) awaitRefusals(t *testing.T, packets int64) {
	t.Helper()
	goal := e.refusals.Load() + packets
	await(t, fmt.Sprintf("%d more packets are refused", packets), func() bool { return e.refusals.Load() >= goal })
}

// refusalP99 returns the 99th percentile of the time of refusals.
func (e *emitters) refusalP99() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waits) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(e.waits))
	return sorted[len(sorted)*99/100]
}

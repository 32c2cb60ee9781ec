package upstream

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// packetMaker makes packets with sequences and ids that count from 1.
type packetMaker struct {
	pool packet.Pool
	last uint64
}

// packet makes a packet with the next id.
func (m *packetMaker) packet(t testing.TB) Delivery {
	t.Helper()
	return m.of(t, `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`)
}

func (m *packetMaker) of(t testing.TB, format string) Delivery {
	t.Helper()
	m.last++
	body := []byte(format)
	if strings.Contains(format, "%d") {
		body = fmt.Appendf(nil, format, m.last)
	}
	info, err := packet.Check(body, 1000)
	if err != nil {
		t.Fatal(err)
	}
	p := m.pool.New(body, info)
	p.Sequence = m.last
	p.Accepted = time.Now()
	return Delivery{Packet: p}
}

func (m *packetMaker) some(t testing.TB, n int) []Delivery {
	t.Helper()
	var packets []Delivery
	for range n {
		packets = append(packets, m.packet(t))
	}
	return packets
}

// recorder is a Settler that records the outcome of each packet and then overwrites the
// packet, as the next user of its buffer would.
type recorder struct {
	mu       sync.Mutex
	outcomes map[uint64][]string
	trouble  map[uint64]*FailureHistory
	settled  int
	tried    int // returned packets with Tried set
	changes  int // calls of CapacityChanged
	updated  chan struct{}
}

func newRecorder() *recorder {
	return &recorder{outcomes: make(map[uint64][]string), trouble: make(map[uint64]*FailureHistory), updated: make(chan struct{}, 1)}
}

func (r *recorder) Delivered(_ string, packets []Delivery) { r.record("delivered", packets...) }
func (r *recorder) Nacked(_ string, packets []Delivery)    { r.record("returned", packets...) }
func (r *recorder) Rejected(_ string, rejections []Rejection) {
	for _, one := range rejections {
		r.record("rejected "+one.Reason, one.Delivery)
	}
}

func (r *recorder) CapacityChanged() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	r.notify()
}

func (r *recorder) record(outcome string, deliveries ...Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range deliveries {
		p := d.Packet
		r.outcomes[p.Sequence] = append(r.outcomes[p.Sequence], outcome)
		r.settled++
		if outcome == "returned" && d.Attempted {
			r.tried++
		}
		r.trouble[p.Sequence] = d.Failures
		for i := range p.Body {
			p.Body[i] = '!'
		}
		*p = packet.Packet{}
	}
	r.notify()
}

func (r *recorder) notify() {
	select {
	case r.updated <- struct{}{}:
	default:
	}
}

// outcomeOf returns the outcome of the packet with a sequence, joined if it has several.
func (r *recorder) outcomeOf(sequence uint64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.outcomes[sequence], "+")
}

// troubleOf returns the failure history of a packet when it was settled.
func (r *recorder) troubleOf(sequence uint64) *FailureHistory {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble[sequence]
}

// returnedTried returns the number of returned packets with Tried set.
func (r *recorder) returnedTried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tried
}

// count returns the number of packets with an outcome.
func (r *recorder) count(outcome string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, outcomes := range r.outcomes {
		if strings.Join(outcomes, "+") == outcome {
			n++
		}
	}
	return n
}

// await waits until n packets are settled.
func (r *recorder) await(t testing.TB, n int) {
	t.Helper()
	r.until(t, fmt.Sprintf("%d packets are settled", n), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.settled >= n
	})
}

// until waits for a condition, which it checks after each call of the Settler and
// periodically.
func (r *recorder) until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-r.updated:
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("timeout waiting until %s; outcomes: %v", what, r.summary())
		}
	}
}

func (r *recorder) summary() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	summary := make(map[string]int)
	for _, outcomes := range r.outcomes {
		summary[strings.Join(outcomes, "+")]++
	}
	return summary
}

// wantOnce fails unless packets 1 to n were settled exactly once each.
func (r *recorder) wantOnce(t testing.TB, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for sequence := uint64(1); sequence <= uint64(n); sequence++ {
		if len(r.outcomes[sequence]) != 1 {
			t.Fatalf("packet %d of %d was settled %d times: %v", sequence, n, len(r.outcomes[sequence]), r.outcomes[sequence])
		}
	}
}

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

// maker makes packets with sequences and ids that count from 1.
type maker struct {
	pool packet.Pool
	last uint64
}

// packet makes a packet around a format for its id.
func (m *maker) packet(t testing.TB) *packet.Packet {
	t.Helper()
	return m.of(t, `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`)
}

func (m *maker) of(t testing.TB, format string) *packet.Packet {
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
	return p
}

func (m *maker) some(t testing.TB, n int) []*packet.Packet {
	t.Helper()
	var packets []*packet.Packet
	for range n {
		packets = append(packets, m.packet(t))
	}
	return packets
}

// recorder is a Settler that notes how each packet ended and then spoils the
// packet, as the next user of its buffer would.
type recorder struct {
	mu      sync.Mutex
	fates   map[uint64][]string
	trouble map[uint64]*packet.FailureHistory
	settled int
	tried   int // returned packets that the analyzer may have seen
	told    int // calls of CapacityChanged
	news    chan struct{}
}

func newRecorder() *recorder {
	return &recorder{fates: make(map[uint64][]string), trouble: make(map[uint64]*packet.FailureHistory), news: make(chan struct{}, 1)}
}

func (r *recorder) Delivered(_ int, packets []*packet.Packet) { r.end("delivered", packets...) }
func (r *recorder) Nacked(_ int, packets []*packet.Packet)    { r.end("returned", packets...) }
func (r *recorder) Rejected(_ int, rejections []Rejection) {
	for _, one := range rejections {
		r.end("refused "+one.Reason, one.Packet)
	}
}

func (r *recorder) CapacityChanged() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told++
	r.tell()
}

func (r *recorder) end(fate string, packets ...*packet.Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range packets {
		r.fates[p.Sequence] = append(r.fates[p.Sequence], fate)
		r.settled++
		if fate == "returned" && p.Attempted {
			r.tried++
		}
		r.trouble[p.Sequence] = p.Failures
		for i := range p.Body {
			p.Body[i] = '!'
		}
		*p = packet.Packet{}
	}
	r.tell()
}

func (r *recorder) tell() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// fate returns how the packet of a sequence ended; all ends, if it had several.
func (r *recorder) fate(sequence uint64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.fates[sequence], "+")
}

// troubleOf returns what was known of a packet when it ended here.
func (r *recorder) troubleOf(sequence uint64) *packet.FailureHistory {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble[sequence]
}

// seen returns how many packets were returned that the analyzer may have seen.
func (r *recorder) seen() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tried
}

// count returns how many packets ended so.
func (r *recorder) count(fate string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, fates := range r.fates {
		if strings.Join(fates, "+") == fate {
			n++
		}
	}
	return n
}

// await waits until n packets have ended.
func (r *recorder) await(t testing.TB, n int) {
	t.Helper()
	r.until(t, fmt.Sprintf("%d packets have ended", n), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.settled >= n
	})
}

// until waits for a condition; it looks after each piece of news, and now and
// then, for what makes none.
func (r *recorder) until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !condition() {
		select {
		case <-r.news:
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("it never came that %s; fates: %v", what, r.summary())
		}
	}
}

func (r *recorder) summary() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	summary := make(map[string]int)
	for _, fates := range r.fates {
		summary[strings.Join(fates, "+")]++
	}
	return summary
}

// wantOnce fails unless packets 1 to n ended exactly once each.
func (r *recorder) wantOnce(t testing.TB, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for sequence := uint64(1); sequence <= uint64(n); sequence++ {
		if len(r.fates[sequence]) != 1 {
			t.Fatalf("packet %d of %d ended %d times: %v", sequence, n, len(r.fates[sequence]), r.fates[sequence])
		}
	}
}

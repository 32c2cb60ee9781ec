package tap

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/ring"
)

const (
	// SenderWindow is the time that the estimate of Senders is for, and for which a request keeps
	// the samples coming.
	SenderWindow = 10 * time.Second
	// sampledAtOnce is the number of packets in a sample. It is taken with each call of Sample, so
	// that the window has at most a thousand packets.
	sampledAtOnce = 10
	// keptSamples is the number of calls of Sample within which a sampled packet must be committed.
	keptSamples = 20
)

// Sender is an emitter with its estimated part of the accepted messages, above 0 and at most 1.
type Sender struct {
	EmitterID string
	Share     float64
}

// Senders estimates which emitters send the most messages, from a few accepted packets at a time.
// While nobody asks, no packet is sampled. The zero value is ready; it may be used concurrently.
type Senders struct {
	mu      sync.Mutex       // guards all below
	asked   time.Time        // the latest Top
	samples ring.Queue[*Tap] // the latest ones, of which only the last may be open
	recent  ring.Queue[Event]
}

// Sample takes over the samples of previous calls, and begins another one of a hub if somebody
// asked within SenderWindow. It is to be called several times a second.
func (s *Senders) Sample(h *Hub, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.samples.Len() {
		t := s.samples.At(i)
		t.Close()
		for e, ok := t.take(); ok; e, ok = t.take() {
			s.recent.Push(e)
		}
	}
	if s.samples.Len() == keptSamples {
		s.samples.Pop()
	}
	for s.recent.Len() > 0 && now.Sub(s.recent.First().Time) > SenderWindow {
		s.recent.Pop()
	}
	if t := s.begin(h, now); t != nil {
		s.samples.Push(t)
	} else if s.samples.Len() > 0 {
		s.samples.Pop()
	}
}

// begin begins a sample unless nobody asked.
func (s *Senders) begin(h *Hub, now time.Time) *Tap {
	if now.Sub(s.asked) > SenderWindow {
		return nil
	}
	return h.sample(sampledAtOnce)
}

// Top returns up to n emitters with the largest parts of the messages of the last SenderWindow. The
// first samples come after the first call.
func (s *Senders) Top(n int, now time.Time) []Sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = now
	messages, sum := make(map[string]int), 0
	for i := range s.recent.Len() {
		e := s.recent.At(i)
		messages[e.EmitterID] += e.Messages
		sum += e.Messages
	}
	ids := slices.SortedFunc(maps.Keys(messages), func(a, b string) int {
		return cmp.Or(cmp.Compare(messages[b], messages[a]), cmp.Compare(a, b))
	})
	top := []Sender{}
	for _, id := range ids[:max(0, min(n, len(ids)))] {
		top = append(top, Sender{id, float64(messages[id]) / float64(sum)})
	}
	return top
}

package tap

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Source is a packet at a stage, from which events are made. The body is only read.
type Source struct {
	Stage          Stage
	Analyzer       string
	Reason, Detail string
	Body           []byte
	Info           packet.Info
	// PacketID replaces that of Info if it is not empty.
	PacketID string
}

// Captured is the events of packets whose stage is not sure yet. It does not refer to the
// packets. The zero value has none.
type Captured struct{ events []capturedEvent }

type capturedEvent struct {
	tap    *Tap
	packet int // its index
	event  Event
}

// Emit shows a packet to the open taps.
func (h *Hub) Emit(s Source) {
	now := time.Now()
	for _, t := range h.open() {
		if t.matches(&s) && t.admit(now, len(s.Body)) {
			t.push(t.event(&s, now))
		}
	}
}

// Capture is Emit for later: it prepares the events of the packet with an index. Callers
// capture packets before they give them away, and then call Captured.Emit.
func (h *Hub) Capture(c *Captured, index int, s Source) {
	now := time.Now()
	for _, t := range h.open() {
		if t.matches(&s) && t.admit(now, len(s.Body)) {
			c.events = append(c.events, capturedEvent{t, index, t.event(&s, now)})
		}
	}
}

// Emit shows the packets with an index below n.
func (c *Captured) Emit(n int) {
	for _, one := range c.events {
		if one.packet < n {
			one.tap.push(one.event)
		}
	}
}

// matches reports whether the options and the sample select a packet.
func (t *Tap) matches(s *Source) bool {
	o := &t.options
	if o.Stage != "" && o.Stage != s.Stage || o.Analyzer != "" && o.Analyzer != s.Analyzer || s.Info.Level < o.Level {
		return false
	}
	if o.Emitter != "" {
		var buffer [256]byte
		emitter := string(s.Info.EmitterID.Decoded(buffer[:0], s.Body))
		if t.isPrefix && !strings.HasPrefix(emitter, t.prefix) || !t.isPrefix && emitter != o.Emitter {
			return false
		}
	}
	return o.Sample == 0 || o.Sample == 1 || rand.Float64() < o.Sample
}

// admit reports whether the rate and the queue admit an event, or counts it as dropped.
func (t *Tap) admit(now time.Time, bodyBytes int) bool {
	admitted, last := t.charge(now, bodyBytes)
	if last {
		t.Close()
	}
	return admitted
}

// charge is admit for a tap that the caller closes after the last event of a sample.
func (t *Tap) charge(now time.Time, bodyBytes int) (admitted, last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if passed := now.Sub(t.refilled); passed > 0 && t.refill > 0 {
		t.tokens = min(t.refill, t.tokens+t.refill*passed.Seconds())
		t.refilled = now
	}
	if t.tokens < 1 || t.fullLocked(min(bodyBytes, MaxBodyBytes)) {
		t.dropped++
		return false, t.refill == 0
	}
	t.tokens--
	return true, t.refill == 0 && t.tokens < 1
}

func (t *Tap) fullLocked(bodyBytes int) bool {
	return t.queue.Len() >= maxQueued || t.options.Bodies && t.bytes+bodyBytes > maxQueuedBytes
}

func (t *Tap) event(s *Source, now time.Time) Event {
	e := Event{
		Time: now.UTC(), Stage: s.Stage, Analyzer: s.Analyzer, Messages: s.Info.Messages, Bytes: len(s.Body),
		EmitterID: string(s.Info.EmitterID.AppendDecoded(nil, s.Body)),
		PacketID:  s.PacketID, Reason: s.Reason, Detail: shorten(s.Detail, maxDetailBytes),
	}
	if e.PacketID == "" {
		e.PacketID = string(s.Info.PacketID.AppendDecoded(nil, s.Body))
	}
	if s.Info.Level > 0 {
		e.Level = s.Info.Level.String()
	}
	if t.options.Bodies {
		e.Body = shorten(string(s.Body[:min(len(s.Body), MaxBodyBytes)]), MaxBodyBytes)
	}
	return e
}

// shorten cuts a text to a number of bytes, without a part of a character.
func shorten(text string, maxBytes int) string {
	return strings.ToValidUTF8(text[:min(len(text), maxBytes)], "")
}

// push queues an event and never waits.
func (t *Tap) push(e Event) {
	t.mu.Lock()
	if t.fullLocked(len(e.Body)) {
		t.dropped++
		t.mu.Unlock()
		return
	}
	e.Dropped = t.dropped
	t.queue.Push(e)
	t.bytes += len(e.Body)
	t.mu.Unlock()
	t.ready.Notify()
}

package breaker

import "time"

// slots is how many parts a window has; it covers between nine and ten tenths
// of its length.
const (
	slots     = 10
	minWindow = time.Millisecond
)

// window counts the sends of the latest time, in constant memory.
type window struct {
	slot    time.Duration // how long one slot lasts
	start   time.Time     // of the current slot
	current int
	counts  [slots]count
	total   count // of all slots
}

type count struct{ sends, failed int }

func newWindow(length time.Duration) window { return window{slot: length / slots} }

// add counts a send. One that comes out of order counts in the current slot.
func (w *window) add(now time.Time, failed bool) {
	w.advance(now)
	w.counts[w.current].sends++
	w.total.sends++
	if failed {
		w.counts[w.current].failed++
		w.total.failed++
	}
}

// within returns what the window holds at a moment.
func (w *window) within(now time.Time) count {
	w.advance(now)
	return w.total
}

func (w *window) advance(now time.Time) {
	steps := now.Sub(w.start) / w.slot
	if steps >= slots {
		w.clear()
		w.start = now
		return
	}
	for ; steps > 0; steps-- {
		w.current = (w.current + 1) % slots
		w.total.sends -= w.counts[w.current].sends
		w.total.failed -= w.counts[w.current].failed
		w.counts[w.current] = count{}
		w.start = w.start.Add(w.slot)
	}
}

func (w *window) clear() {
	w.counts = [slots]count{}
	w.total = count{}
}

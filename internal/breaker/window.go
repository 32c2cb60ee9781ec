package breaker

import "time"

// slots is the number of slots of a window. The window covers between 90 % and
// 100 % of its length.
const slots = 10

// window is a sliding-window counter of sends with constant memory.
type window struct {
	slot    time.Duration // length of one slot
	start   time.Time     // of the current slot
	current int
	counts  [slots]count
	total   count // of all slots
}

type count struct{ sends, failed int }

func newWindow(length time.Duration) window { return window{slot: length / slots} }

// add counts a send. A send that is out of order counts in the current slot.
func (w *window) add(now time.Time, failed bool) {
	w.advance(now)
	w.counts[w.current].sends++
	w.total.sends++
	if failed {
		w.counts[w.current].failed++
		w.total.failed++
	}
}

// within returns the counts of the window that ends now.
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

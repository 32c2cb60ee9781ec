package upstream

import "sync/atomic"

// incarnation numbers the processes that answer at an analyzer's address. What one of
// them advertises need not hold for the next, which the end of a connection may be the
// only sign of. It may be used concurrently.
type incarnation struct {
	number atomic.Int64 // goes up when another one may have come
	lines  atomic.Int64 // of the last one known to take NDJSON; 0 is none
	ask    func()       // has the analyzer asked what it takes, soon
}

// init begins with one of which nothing is known.
func (i *incarnation) init(ask func()) {
	i.number.Store(1)
	i.ask = ask
}

func (i *incarnation) takesLines() bool { return i.lines.Load() == i.number.Load() }

// outdated tells that one took NDJSON, and another one may have come.
func (i *incarnation) outdated() bool {
	lines := i.lines.Load()
	return lines != 0 && lines != i.number.Load()
}

// learn notes what the analyzer advertised, when it had a number or later.
func (i *incarnation) learn(number int64, takesLines bool) {
	if !takesLines {
		number = 0
	}
	i.lines.Store(number)
}

// end notes that a connection ended that was good when the analyzer had a number. Of
// all that end with one process the first is news.
func (i *incarnation) end(number int64) {
	known := i.takesLines()
	if i.number.CompareAndSwap(number, number+1) && known {
		i.ask()
	}
}

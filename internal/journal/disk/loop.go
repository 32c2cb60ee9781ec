package disk

import "sync"

// loop is a goroutine that works when it is woken until it is told to end.
type loop struct {
	wakeUp  chan struct{} // holds one wake-up
	stop    chan struct{}
	running sync.WaitGroup
}

func newLoop() *loop {
	return &loop{wakeUp: make(chan struct{}, 1), stop: make(chan struct{})}
}

// wake makes the loop look for work; it never waits.
func (l *loop) wake() {
	select {
	case l.wakeUp <- struct{}{}:
	default:
	}
}

// ending tells whether the loop is to end.
func (l *loop) stopping() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// end makes the loop end and waits for that; it may be called once.
func (l *loop) shutDown() {
	close(l.stop)
	l.running.Wait()
}

package jetstream

import "sync"

// loop controls a goroutine that works on demand.
type loop struct {
	wakeUp  chan struct{} // capacity 1
	stop    chan struct{}
	running sync.WaitGroup
}

func newLoop() *loop {
	return &loop{wakeUp: make(chan struct{}, 1), stop: make(chan struct{})}
}

// wake makes the loop check for work, without waiting.
func (l *loop) wake() {
	select {
	case l.wakeUp <- struct{}{}:
	default:
	}
}

// shutDown stops the loop and waits for its goroutine. It must be called once.
func (l *loop) shutDown() {
	close(l.stop)
	l.running.Wait()
}

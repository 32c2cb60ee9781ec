package main

import (
	"os"
	"time"
)

// signalCoalescing is how long after the first signal others count as the same
// one: GNU timeout, for example, signals its child and then the child's process
// group.
const signalCoalescing = 250 * time.Millisecond

// stopOnSignal calls stop at the first signal. After signalCoalescing it
// restores the default effect of signals, so that another one exits at once.
func stopOnSignal(signals <-chan os.Signal, stop, restoreDefault func()) {
	<-signals
	stop()
	time.Sleep(signalCoalescing)
	restoreDefault()
}

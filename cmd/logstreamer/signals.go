package main

import (
	"os"
	"time"
)

// signalCoalescing is how long after the first signal others count as the same
// one: GNU timeout, for example, signals its child and then the child's process
// group.
const signalCoalescing = 250 * time.Millisecond

// stopOnSignal calls stop at the first signal, and exit at the first one after
// signalCoalescing. The default effect of signals would not do: a shell without
// job control has its background processes ignore SIGINT.
func stopOnSignal(signals <-chan os.Signal, stop func(), exit func(os.Signal)) {
	<-signals
	stop()
	time.Sleep(signalCoalescing)
	select {
	case <-signals:
	default:
	}
	exit(<-signals)
}

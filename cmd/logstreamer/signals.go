package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// signalCoalescing is how long after the first signal others count as the same
// one: GNU timeout, for example, signals its child and then the child's process
// group.
const signalCoalescing = 250 * time.Millisecond

// stopOnSignal calls stop at the first signal, and then, after signalCoalescing, again.
func stopOnSignal(signals <-chan os.Signal, stop, again func()) {
	<-signals
	stop()
	time.Sleep(signalCoalescing)
	again()
}

// endBySignal restores the default effect of signals, so that the next one ends the process, unless a
// command handles it. If SIGINT was ignored at the start, as in background processes of a shell without
// job control, that would be no effect: then the next signal exits with the code that shells give to
// processes that a signal ends.
func endBySignal(signals chan os.Signal, ignored bool) {
	if !ignored {
		signal.Stop(signals)
		return
	}
	select {
	case <-signals:
	default:
	}
	code := exitFailed
	if s, ok := (<-signals).(syscall.Signal); ok {
		code = 128 + int(s)
	}
	os.Exit(code)
}

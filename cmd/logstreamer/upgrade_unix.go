//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyUpgrades returns a channel of SIGUSR2, which stop closes.
func notifyUpgrades() (signals <-chan os.Signal, stop func()) {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGUSR2)
	return received, func() {
		signal.Stop(received) // no more sends on the channel after Stop
		close(received)
	}
}

//go:build !unix

package main

import "os"

// notifyUpgrades returns a channel of nothing, since there is no SIGUSR2.
func notifyUpgrades() (signals <-chan os.Signal, stop func()) {
	received := make(chan os.Signal)
	return received, func() { close(received) }
}

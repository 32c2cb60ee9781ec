package main

import (
	"os"
	"time"
)

// oneStop is how long after the first signal others count as the same one:
// GNU timeout, for one, signals its child and then the child's whole group.
const oneStop = 250 * time.Millisecond

// heed stops at the first signal. When those that belong to it have passed it
// gives signals their default effect back, so that a further one exits at once.
func heed(signals <-chan os.Signal, stop, giveBack func()) {
	<-signals
	stop()
	time.Sleep(oneStop)
	giveBack()
}

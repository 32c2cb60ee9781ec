package harness

import (
	"flag"
	"time"
)

var judge = flag.Bool("judge", false, "let the analyzer hang for ten seconds instead of one")

// Hanging returns how long a test is to let the analyzer hang.
func Hanging() time.Duration {
	if *judge {
		return 10 * time.Second
	}
	return time.Second
}

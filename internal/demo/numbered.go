package demo

import (
	"fmt"
	"strconv"
	"strings"
)

// numberedText returns the text of a message that a sender of the demo numbers, from 1.
func numberedText(protocol string, number int64) string {
	return fmt.Sprintf("demo %s %d: GET /api/orders/%d answered 200 in %d ms", protocol, number, number*7919%90000, number*31%900)
}

// noteText records a message that has arrived, and reports whether a sender of the demo sent
// it.
func (a *arrivals) noteText(text string) (known bool) {
	rest, found := strings.CutPrefix(text, "demo ")
	protocol, rest, _ := strings.Cut(rest, " ")
	number, _, numbered := strings.Cut(rest, ": GET /api/orders/")
	n, err := strconv.ParseInt(number, 10, 64)
	return found && numbered && err == nil && a.note(protocol, n, 1)
}

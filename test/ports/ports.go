// Package ports finds ports for processes that must be told where to listen.
package ports

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Below the range from which systems take the ports of outgoing connections:
// one of those would be taken again before the process listens on it, or while
// it is down.
const (
	first = 20_000
	count = 12_000
)

// Free returns different ports that were free a moment ago, on all addresses. It
// may be called concurrently, also by several processes; that two calls return
// the same port is unlikely.
func Free(wanted int) ([]int, error) {
	var free []int
	for tries := 0; len(free) < wanted; tries++ {
		if tries == 100+wanted {
			return nil, errors.New("there are not enough free ports from 20000 to 32000")
		}
		port := first + rand.IntN(count)
		listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err == nil {
			defer listener.Close() //nolint:errcheck // nothing was written
			free = append(free, port)
		}
	}
	return free, nil
}

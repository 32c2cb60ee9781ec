// Package ports finds free ports for processes that need fixed listen
// addresses.
package ports

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// The range is below the ephemeral ports: a port of those could be taken again
// before the process listens on it, or while it is down.
const (
	first = 20_000
	count = 12_000
)

// Free returns different ports that were free a moment ago on all addresses. It
// may be called concurrently, also by several processes; it is unlikely that
// two calls return the same port.
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

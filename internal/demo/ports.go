package demo

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// freePorts returns different ports that were free on loopback a moment ago. They are below the
// ephemeral ones, which a connection could take while a distributor is away.
func freePorts(wanted int) ([]int, error) {
	const first, count = 20_000, 12_000
	var free []int
	for tries := 0; len(free) < wanted; tries++ {
		if tries == 100+wanted {
			return nil, errors.New("there are not enough free ports from 20000 to 32000")
		}
		port := first + rand.IntN(count)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			defer listener.Close() //nolint:errcheck // nothing was written
			free = append(free, port)
		}
	}
	return free, nil
}

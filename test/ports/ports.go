// Package ports hands out ports to processes that need fixed listen addresses.
package ports

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The range is below the ephemeral ports: an ephemeral port could be taken again before the process
// listens on it, or while the process is down.
const (
	first     = 20_000
	blockSize = 300
	blocks    = 40
)

// own is the block of this process. No other process that uses this package gets a port of it, even
// while no process listens on the port.
var own block

// block is a range of ports that belongs to one process for its lifetime: the process listens on
// the first port.
type block struct {
	mu    sync.Mutex // guards the rest
	lock  net.Listener
	start int
	next  int // offset of the port that is tried next
}

// Free returns different ports on which no process listens, on any address. It may be called
// concurrently, also by several processes: no process gets a port of another one, and this process
// gets a port again only after all other ports of its block.
func Free(wanted int) ([]int, error) { return own.free(wanted) }

func (b *block) free(wanted int) ([]int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.reserve(); err != nil {
		return nil, err
	}
	var free []int
	for range blockSize - 1 {
		if len(free) == wanted {
			return free, nil
		}
		port := b.start + 1 + b.next
		b.next = (b.next + 1) % (blockSize - 1)
		if listener, err := listen(port); err == nil {
			defer listener.Close() //nolint:errcheck // nothing was written
			free = append(free, port)
		}
	}
	return nil, errors.New("there are not enough free ports from " + strconv.Itoa(b.start) + " on")
}

// reserve takes a block, unless the process has one.
func (b *block) reserve() error {
	if b.lock != nil {
		return nil
	}
	for _, number := range rand.Perm(blocks) {
		start := first + number*blockSize
		if lock, err := listen(start); err == nil {
			b.lock, b.start = lock, start
			return nil
		}
	}
	return errors.New("all ports from 20000 to 31999 belong to other processes")
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", ":"+strconv.Itoa(port))
}

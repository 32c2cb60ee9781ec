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

// own are the blocks of this process. No other process that uses this package gets a port of them, even
// while no process listens on the port.
var own reserved

// reserved are blocks of ports that belong to one process for its lifetime: the process listens on
// the first port of each.
type reserved struct {
	mu        sync.Mutex // guards the rest
	blocks    []net.Listener
	next, end int // the ports of a block that are handed out next
	reused    int // blocks that have been handed out again
}

// Free returns different ports on which no process listens, on any address. It may be called
// concurrently, also by several processes: no process gets a port of another one. A process may be
// down for a while without giving up its ports, so that this process gets a port again only after
// those of all blocks that it can have.
func Free(wanted int) ([]int, error) { return own.free(wanted) }

func (r *reserved) free(wanted int) ([]int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var free []int
	for range blocks * blockSize {
		if len(free) == wanted {
			return free, nil
		}
		if r.next == r.end {
			if err := r.nextBlock(); err != nil {
				return nil, err
			}
		}
		port := r.next
		r.next++
		if listener, err := listen(port); err == nil {
			defer listener.Close() //nolint:errcheck // nothing was written
			free = append(free, port)
		}
	}
	return nil, errors.New("there are not enough free ports from 20000 to 31999")
}

// nextBlock takes another block, or, when other processes have all others, the oldest one again.
func (r *reserved) nextBlock() error {
	for _, number := range rand.Perm(blocks) {
		start := first + number*blockSize
		if lock, err := listen(start); err == nil {
			r.blocks = append(r.blocks, lock)
			r.next, r.end = start+1, start+blockSize
			return nil
		}
	}
	if len(r.blocks) == 0 {
		return errors.New("all ports from 20000 to 31999 belong to other processes")
	}
	start := r.blocks[r.reused%len(r.blocks)].Addr().(*net.TCPAddr).Port
	r.reused++
	r.next, r.end = start+1, start+blockSize
	return nil
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", ":"+strconv.Itoa(port))
}

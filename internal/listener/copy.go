package listener

import (
	"fmt"
	"net"
	"os"
)

// Copy returns another listener on the same socket. The kernel queues connections as long as
// one of them is open.
func Copy(l net.Listener) (net.Listener, error) {
	filer, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("the listener %v cannot be handed over", l.Addr())
	}
	file, err := filer.File()
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // FileListener has a copy of its own
	return net.FileListener(file)
}

package listener

import (
	"fmt"
	"net"
	"os"
)

// Copy returns another listener on the same socket. The kernel queues connections as long as
// one of them is open.
func Copy(l net.Listener) (net.Listener, error) {
	file, err := fileOf(l, l.Addr())
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // FileListener has a copy of its own
	return net.FileListener(file)
}

// CopyPackets is Copy for a socket of datagrams, which the kernel queues, too.
func CopyPackets(c net.PacketConn) (net.PacketConn, error) {
	file, err := fileOf(c, c.LocalAddr())
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // FilePacketConn has a copy of its own
	return net.FilePacketConn(file)
}

func fileOf(socket any, addr net.Addr) (*os.File, error) {
	filer, ok := socket.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("the listener %v cannot be handed over", addr)
	}
	return filer.File()
}

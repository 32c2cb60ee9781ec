package forward

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Heartbeats answers the heartbeats of older clients, datagrams of any content, with a zero
// byte.
type Heartbeats struct {
	conn    net.PacketConn
	serving sync.WaitGroup
}

// ServeHeartbeats starts answering.
func ServeHeartbeats(conn net.PacketConn) *Heartbeats {
	h := &Heartbeats{conn: conn}
	h.serving.Go(h.serve)
	return h
}

func (h *Heartbeats) serve() {
	var content [1]byte
	for {
		_, from, err := h.conn.ReadFrom(content[:])
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case from != nil: // also of a longer datagram
			_, _ = h.conn.WriteTo([]byte{0}, from) // a client without an answer asks again
		}
	}
}

// Stop ends answering.
func (h *Heartbeats) Stop(context.Context) error {
	err := h.conn.Close()
	h.serving.Wait()
	return err
}

package forward

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Heartbeats answers the heartbeats of older clients, datagrams with any content, with a zero byte.
type Heartbeats struct {
	conn    net.PacketConn
	serving sync.WaitGroup
}

// ServeHeartbeats starts answering heartbeats.
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
		case from != nil: // also if the datagram is longer
			_, _ = h.conn.WriteTo([]byte{0}, from) // a client without a reply asks again
		}
	}
}

// Stop stops answering heartbeats.
func (h *Heartbeats) Stop(context.Context) error {
	err := h.conn.Close()
	h.serving.Wait()
	return err
}

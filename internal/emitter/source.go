package emitter

import "context"

// source produces packets for one goroutine.
type source interface {
	// next fills an empty p. It returns io.EOF at the end and ctx's error when
	// ctx is done, either perhaps with a last packet. A p without messages is
	// not a packet, but its lines count.
	next(ctx context.Context, p *outgoing) error
	// close releases the source's resources; next is not called afterwards.
	close() error
}

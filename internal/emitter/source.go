package emitter

import "context"

// source hands out packets one after another, to one goroutine.
type source interface {
	// next fills an empty p. It returns io.EOF, perhaps together with a last
	// packet, when nothing more will come, and ctx's error likewise when ctx
	// ended. A p without messages then is no packet, but its lines count.
	next(ctx context.Context, p *outgoing) error
	// close gives back what the source holds; next is not called afterwards.
	close() error
}

package simulate

import (
	"context"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

// journal holds accepted packets. It implements router.Journal.
type journal struct {
	queued      ring.Queue[*packet.Packet] // not yet fetched
	outstanding int                        // packets that are not delivered
}

func (j *journal) append(p *packet.Packet) {
	j.queued.Push(p)
	j.outstanding++
}

func (j *journal) Fetch(_ context.Context, dst []*packet.Packet, limit int) ([]*packet.Packet, error) {
	for ; limit > 0 && j.queued.Len() > 0; limit-- {
		dst = append(dst, j.queued.Pop())
	}
	return dst, nil
}

func (j *journal) Ready() <-chan struct{}       { return nil }
func (j *journal) Ack(packets []*packet.Packet) { j.outstanding -= len(packets) }
func (j *journal) Nak(packets []*packet.Packet) {
	for _, p := range packets {
		j.queued.Push(p)
	}
}

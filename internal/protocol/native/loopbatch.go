//go:build linux && !noeventloop

package native

import (
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/server/eventloop"
)

// loopBatch has packets of different connections that are appended to the journal together, with
// the responses to send once the packets are stored.
type loopBatch struct {
	handler *loopHandler
	intake  *intake.Batch
	streams []*stream
	text    []byte // the responses that accept the packets
	ends    []int  // of each response in text
}

// packetsPerBatch is small, so that the first packets of a large round are stored early.
const packetsPerBatch = 16

func (b *loopBatch) add(s *stream, c *intake.Candidate) {
	accept(&b.handler.scratch, c.Packet, endOfAccepted)
	b.text = s.conn.AppendResponse(b.text, &b.handler.scratch)
	b.ends = append(b.ends, len(b.text))
	b.streams = append(b.streams, s)
	b.intake.Add(c)
}

// OnCommit implements intake.Committer.
func (b *loopBatch) OnCommit() { b.handler.loop.Post(b) }

// Handle implements eventloop.Event: the packets are committed.
func (b *loopBatch) Handle(*eventloop.Loop) { b.complete() }

// complete answers the requests of the batch.
func (b *loopBatch) complete() {
	h, begin := b.handler, 0
	h.loop.Tick()
	for i, result := range b.intake.Finish() {
		s := b.streams[i]
		if result.Outcome == intake.Refused {
			h.protocol.answerRefusal(&h.scratch, result.Refusal)
			s.reply(&h.scratch)
		} else {
			s.observe()
			s.conn.Write(b.text[begin:b.ends[i]])
		}
		begin = b.ends[i]
	}
	h.spare = append(h.spare, b)
}

func (h *loopHandler) newBatch() *loopBatch {
	if len(h.spare) == 0 {
		return &loopBatch{handler: h, intake: h.protocol.intake.NewBatch()}
	}
	b := h.spare[len(h.spare)-1]
	h.spare = h.spare[:len(h.spare)-1]
	b.intake.Reset()
	clear(b.streams)
	b.streams, b.text, b.ends = b.streams[:0], b.text[:0], b.ends[:0]
	return b
}

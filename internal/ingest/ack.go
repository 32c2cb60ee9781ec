package ingest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// Ack is when an emitter is answered.
type Ack string

// The levels. A stronger one may be given for a weaker one: a journal that
// stores packets answers AckQueued once they are stored.
const (
	// AckQueued: the packet is in a queue.
	AckQueued Ack = "queued"
	// AckStored: the packet is on stable storage.
	AckStored Ack = "stored"
	// AckDelivered: an analyzer took the packet.
	AckDelivered Ack = "delivered"
)

// Acks lists the levels.
func Acks() []string { return []string{string(AckQueued), string(AckStored), string(AckDelivered)} }

// ackOf returns the level that a request asks for with ?ack=, or the default.
func (h *Handler) ackOf(r *Request) (Ack, *problem.Problem) {
	asked, given := r.parameter("ack")
	if !given {
		return h.config.Ack, nil
	}
	if !slices.Contains(Acks(), asked) {
		return "", &problem.Problem{Code: problem.Malformed, Detail: fmt.Sprintf("?ack=%s: it must be one of %s", asked, strings.Join(Acks(), ", "))}
	}
	if Ack(asked) == AckStored && !h.config.Stores {
		return "", &problem.Problem{Code: problem.Malformed, Detail: "?ack=stored cannot be promised: the journal is in memory (JOURNAL=memory)"}
	}
	return Ack(asked), nil
}

// receipt is how a request hears what became of its packets. The zero value
// waits for nothing.
type receipt struct {
	outcomes chan packet.DeliveryResult
	timeout  time.Duration
}

// newReceipt makes room for that many outcomes when the level asks for them.
func (h *Handler) newReceipt(ack Ack, packets int) receipt {
	if ack != AckDelivered {
		return receipt{}
	}
	return receipt{outcomes: make(chan packet.DeliveryResult, packets), timeout: h.config.AckTimeout}
}

// await collects the outcomes of that many packets, as far as they come in time.
func (r receipt) await(packets int) []packet.DeliveryResult {
	timer := time.NewTimer(r.timeout)
	defer timer.Stop()
	var outcomes []packet.DeliveryResult
	for len(outcomes) < packets {
		select {
		case o := <-r.outcomes:
			outcomes = append(outcomes, o)
		case <-timer.C:
			return outcomes
		}
	}
	return outcomes
}

// delivery is a packet that the journal has taken and whose outcome is to be
// answered.
type delivery struct {
	receipt
	// id is the packet's as it was sent, with its JSON escapes.
	id, decodedID string
}

// answer waits for the outcome and answers with it.
func (d *delivery) answer(to *Response) {
	outcomes := d.await(1)
	switch {
	case len(outcomes) == 0:
		// It may be delivered all the same: a disk journal does not remember
		// without end who deadlines.
		to.refuse(problem.Problem{
			Code: problem.AckTimeout, PacketID: d.decodedID,
			Detail: fmt.Sprintf("it is not known to be delivered after %v; it remains accepted and need not be sent again", d.timeout),
		})
	case outcomes[0].Rejection != "":
		to.refuse(problem.Problem{
			Code: problem.DeadLettered, PacketID: d.decodedID,
			Detail: fmt.Sprintf("%s refused it for good: %s", outcomes[0].Analyzer, outcomes[0].Rejection),
		})
	default:
		body := append(to.body[:0], `{"status":"delivered","packet_id":"`...)
		body = append(body, d.id...)
		body = append(body, `","analyzer":`...)
		body = problem.AppendQuoted(body, outcomes[0].Analyzer)
		*to = Response{status: http.StatusOK, body: append(body, '}')}
	}
}

package native

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
)

// maxPooledLines bounds the memory of a request that is kept for another one.
const maxPooledLines = 4096

// lines answers a request of many packets, one a line.
func (p *Protocol) lines(how *submission, received *packet.Packet, to *http1.Response) {
	held, fault := p.reserveList(received.Body)
	if fault != nil {
		p.refuse(to, *fault)
		p.memory.Drop(received)
		return
	}
	b := p.batches.Get().(*batch)
	defer p.release(b)
	p.takeLines(how, received, held, b)
	for i, result := range b.intake.Accept(how.ack) {
		b.add(b.lines[i], result)
	}
	listed := listBytes(b.refused.lines)
	p.memory.Free(held - listed)
	b.delivering = b.intake.AwaitsDelivery()
	b.count(b.intake.AwaitDeliveries(context.Background()))
	p.answerLines(b, to)
	if listed > 0 {
		to.Sent = func() { p.memory.Free(listed) }
	}
}

// batch has the results of a request's packets.
type batch struct {
	intake *intake.Batch
	lines  []int // the numbers of its packets' lines, from 1

	stored     int
	duplicates int

	delivering              bool // the response waited for delivery
	delivered, deadLettered int

	refused   refusedLines
	first     problem.Code  // of the first refused line
	oneCode   bool          // all refused lines have that code
	retryable intake.Reason // why retryable lines were refused, if there were any
	wait      int           // seconds until emitters over their rate may send again
}

// release keeps the memory of a batch for another request, unless there is much of it.
func (p *Protocol) release(b *batch) {
	if b.intake.Len() <= maxPooledLines {
		b.intake.Reset()
		*b = batch{intake: b.intake, lines: b.lines[:0], refused: b.refused.emptied()}
		p.batches.Put(b)
	}
}

func (b *batch) accepted() int { return b.stored + b.duplicates }

// takeLines makes packets of the lines of a body, whose ownership it takes. The request holds that
// many bytes besides the body.
func (p *Protocol) takeLines(how *submission, received *packet.Packet, held int64, b *batch) {
	held += received.Footprint()
	shared := p.memory.Share(received)
	p.checkLines(how, received.Body, shared, held, b)
	if shared != nil {
		shared.Close()
	} else {
		p.memory.Drop(received)
	}
}

// checkLines checks lines. It adds candidates to the batch, and notes the result of all other
// lines. The packets are parts of shared unless that is nil. The request holds that many bytes.
func (p *Protocol) checkLines(how *submission, text []byte, shared *packet.Shared, held int64, b *batch) {
	lines, now := packet.LinesOf(text), time.Now()
	for {
		line, number, ok := lines.Next()
		if !ok {
			return
		}
		info, why := p.check(how, line, now)
		if why != nil {
			p.count(why.Code)
			b.refuse(number, *why)
			continue
		}
		received, reason := p.memory.LendPart(shared, line, held)
		if reason != "" {
			why := body.Unavailable(reason)
			why.PacketID = string(info.PacketID.AppendDecoded(nil, line))
			p.noteRefused(info, line, why, now)
			p.count(why.Code)
			b.refuse(number, *why)
			continue
		}
		received.Info, received.Accepted, received.Traceparent = info, now, how.traceparent
		p.screen(candidateOf(how.principal, received), number, b)
	}
}

func (p *Protocol) screen(c intake.Candidate, number int, b *batch) {
	result := p.intake.Screen(&c)
	if result.Outcome == intake.Undecided {
		b.intake.Add(&c)
		b.lines = append(b.lines, number)
		return
	}
	b.add(number, result)
	p.memory.Drop(c.Packet)
}

// add notes the result of a line.
func (b *batch) add(number int, result intake.Result) {
	switch result.Outcome {
	case intake.Duplicate:
		b.duplicates++
	case intake.Refused:
		b.refuse(number, problemOf(result.Refusal))
	default:
		b.stored++
	}
}

// count notes the deliveries.
func (b *batch) count(deliveries []packet.DeliveryResult) {
	for _, d := range deliveries {
		if d.Rejection == "" {
			b.delivered++
		} else {
			b.deadLettered++
		}
	}
}

// refuse notes a refused line.
func (b *batch) refuse(number int, why problem.Problem) {
	if b.refused.lines == 0 {
		b.first, b.oneCode = why.Code, true
	}
	b.oneCode = b.oneCode && why.Code == b.first
	switch why.Code.Status() {
	case http.StatusServiceUnavailable:
		b.retryable = intake.Reason(why.Code)
	case http.StatusTooManyRequests:
		if b.retryable == "" { // this reason is more specific
			b.retryable = intake.Reason(why.Code)
		}
		b.wait = max(b.wait, why.RetryAfter)
	}
	b.refused.add(number, why)
}

func (p *Protocol) answerLines(b *batch, to *http1.Response) {
	if b.accepted() == 0 {
		p.refuseAllLines(b, to)
		return
	}
	status, word := b.outcome()
	text := append(to.Body[:0], `{"status":"`...)
	text = append(text, word...)
	text = appendMember(text, `","accepted":`, b.accepted())
	if b.duplicates > 0 {
		text = appendMember(text, `,"duplicates":`, b.duplicates)
	}
	if b.delivering {
		text = appendMember(text, `,"delivered":`, b.delivered)
		text = appendMember(text, `,"dead_lettered":`, b.deadLettered)
	}
	if status == http.StatusMultiStatus {
		// A distributor that sends batches treats a 207 without a list as a failure, so the list is
		// present even if it is empty: dead letters were accepted.
		text = b.refused.appendMember(text)
	}
	to.SetJSON(status, append(text, '}'))
	if b.refused.lines > 0 {
		to.RetryAfter = p.waitOf(b)
	}
}

// outcome returns the status of a request with some accepted lines.
func (b *batch) outcome() (status int, word string) {
	switch {
	case b.refused.lines > 0:
		return http.StatusMultiStatus, "partial"
	case b.delivering && b.delivered+b.deadLettered < b.stored:
		return http.StatusGatewayTimeout, "accepted"
	case b.delivering && b.deadLettered > 0:
		return http.StatusMultiStatus, "partial"
	case b.delivering && b.duplicates == 0: // the delivery of duplicates is not known
		return http.StatusOK, "delivered"
	default:
		return http.StatusAccepted, "accepted"
	}
}

func appendMember(dst []byte, name string, value int) []byte {
	return strconv.AppendInt(append(dst, name...), int64(value), 10)
}

// refuseAllLines answers if no line was accepted.
func (p *Protocol) refuseAllLines(b *batch, to *http1.Response) {
	why := problem.Problem{Code: problem.Malformed, Detail: "no line of the body is a packet that can be taken; each is listed with its reason"}
	switch {
	case b.refused.lines == 0:
		why.Detail = "the body has no lines: send one packet a line"
		p.count(why.Code)
	case b.retryable != "":
		why = *body.Unavailable(b.retryable)
	case b.oneCode && isClientError(b.first):
		why.Code = b.first
	}
	why.RetryAfter = p.waitOf(b)
	problem.Respond(to, why)
	if b.refused.lines > 0 {
		document := b.refused.appendMember(to.Body[:len(to.Body)-1])
		to.Body = append(document, '}')
	}
}

// waitOf returns the longest wait of the retryable lines, in seconds, or 0.
func (p *Protocol) waitOf(b *batch) int {
	if b.retryable == "" {
		return 0
	}
	wait := b.wait
	if b.retryable != intake.RateLimited {
		wait = max(wait, p.intake.RetryAfter(b.retryable))
	}
	return wait
}

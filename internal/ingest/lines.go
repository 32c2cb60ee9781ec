package ingest

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// maxPooledCandidates bounds what is kept of a request's memory for the next one.
const maxPooledCandidates = 4096

// lines answers a request of many packets, one a line.
func (h *Handler) lines(r submission, body *packet.Packet, to *Response) {
	held, fault := h.reserveList(body.Body)
	if fault != nil {
		h.refuse(to, *fault)
		h.bodies.drop(body)
		return
	}
	batch := h.batches.Get().(*lineBatch)
	h.checkLines(body.Body, r.traceparent, batch)
	h.bodies.drop(body)
	waiting := h.newReceipt(r.ack, len(batch.candidates))
	h.storeLines(batch, waiting)
	h.bodies.free(batch.held)
	h.resolveLines(batch)
	listed := listBytes(batch.refused.lines)
	h.bodies.free(held - listed)
	if waiting.outcomes != nil {
		batch.count(waiting.await(batch.stored))
	}
	h.answerLines(batch, to)
	if listed > 0 {
		to.sent = func() { h.bodies.free(listed) }
	}
	if len(batch.candidates) <= maxPooledCandidates {
		batch.reset()
		h.batches.Put(batch)
	}
}

// lineBatch is what became of a request's lines.
type lineBatch struct {
	candidates []candidate      // that ask the journal
	packets    []*packet.Packet // theirs
	joined     []candidate      // that another request has asked for
	held       int64            // bytes of memory of the candidates' packets

	stored     int
	duplicates int

	delivering              bool // the answer waited for delivery
	delivered, deadLettered int

	refused   refusedLines
	first     problem.Code // of the first refused line
	oneCode   bool         // all refused lines have that code
	retryable problem.Code // a code that says "not now", when there was one
	wait      int          // seconds until emitters over their rate may send again
}

// reset keeps the room of a batch for another request.
func (b *lineBatch) reset() {
	clear(b.candidates)
	clear(b.packets)
	clear(b.joined)
	*b = lineBatch{candidates: b.candidates[:0], packets: b.packets[:0], joined: b.joined[:0], refused: b.refused.emptied()}
}

func (b *lineBatch) accepted() int { return b.stored + b.duplicates }

func (h *Handler) checkLines(body []byte, traceparent string, batch *lineBatch) {
	lines, now := packet.LinesOf(body), time.Now()
	for {
		line, number, ok := lines.Next()
		if !ok {
			return
		}
		info, err := packet.Check(line, h.config.MaxPacketMessages)
		if err != nil {
			why := refusalOf(err, line)
			h.refusedEmitters.add(info.EmitterID, line, &why, now)
			h.refuseLine(batch, number, why)
			continue
		}
		p, fault := h.bodies.lend(len(line))
		if fault != nil {
			fault.PacketID = string(info.PacketID.AppendDecoded(nil, line))
			h.refusedEmitters.add(info.EmitterID, line, fault, now)
			h.refuseLine(batch, number, *fault)
			continue
		}
		p.Body, p.Info = append(p.Body, line...), info
		p.Accepted, p.Traceparent = now, traceparent
		h.enter(batch, candidate{packet: p, line: number})
	}
}

// enter puts a packet where it belongs.
func (h *Handler) enter(batch *lineBatch, e candidate) {
	fault := h.screen(&e)
	switch {
	case fault != nil:
		h.refuseLine(batch, e.line, *fault)
		h.bodies.drop(e.packet)
	case e.duplicate:
		h.countDuplicate(batch)
		h.bodies.drop(e.packet)
	case e.other != nil:
		batch.joined = append(batch.joined, e)
	default:
		batch.held += e.packet.Footprint()
		batch.candidates = append(batch.candidates, e)
		batch.packets = append(batch.packets, e.packet)
	}
}

// storeLines hands the packets to the journal.
func (h *Handler) storeLines(batch *lineBatch, r receipt) {
	if len(batch.packets) == 0 {
		return
	}
	if r.outcomes != nil {
		batch.delivering = true
		for _, p := range batch.packets {
			p.DeliveryChan = r.outcomes
		}
	}
	for next := 0; next < len(batch.candidates); {
		taken, err := h.deps.Journal.Append(batch.packets[next:])
		batch.stored += taken
		for i := range taken {
			batch.candidates[next+i].accept()
		}
		next += taken
		// A packet that finds no room does not speak for those behind it, which
		// may be smaller, or of another emitter.
		refused := len(batch.candidates) - next
		if errors.Is(err, journal.ErrFull) {
			refused = min(refused, 1)
		}
		for range refused {
			e := &batch.candidates[next]
			h.refuseLine(batch, e.line, *h.rollback(e, err))
			e.packet.Release()
			next++
		}
	}
}

// resolveLines waits for the requests that had asked for the same packets. This
// request's own reservations are ended, so that no two wait for each other.
func (h *Handler) resolveLines(batch *lineBatch) {
	for i := range batch.joined {
		e := &batch.joined[i]
		if fault := e.resolve(); fault != nil {
			h.refuseLine(batch, e.line, *fault)
		} else {
			h.countDuplicate(batch)
		}
		h.bodies.drop(e.packet)
	}
}

func (h *Handler) countDuplicate(batch *lineBatch) {
	batch.duplicates++
	h.metrics.duplicates.Inc()
}

func (b *lineBatch) count(outcomes []packet.DeliveryResult) {
	for _, o := range outcomes {
		if o.Rejection == "" {
			b.delivered++
		} else {
			b.deadLettered++
		}
	}
}

func (h *Handler) refuseLine(batch *lineBatch, number int, why problem.Problem) {
	h.metrics.refuse(why.Code)
	if batch.refused.lines == 0 {
		batch.first, batch.oneCode = why.Code, true
	}
	batch.oneCode = batch.oneCode && why.Code == batch.first
	switch why.Code.Status() {
	case http.StatusServiceUnavailable:
		batch.retryable = why.Code
	case http.StatusTooManyRequests:
		if batch.retryable == "" { // else the other reason says more
			batch.retryable = why.Code
		}
		batch.wait = max(batch.wait, why.RetryAfter)
	}
	batch.refused.add(number, why)
}

func (h *Handler) answerLines(batch *lineBatch, to *Response) {
	if batch.accepted() == 0 {
		h.refuseAllLines(batch, to)
		return
	}
	status, word := batch.outcome()
	body := append(to.body[:0], `{"status":"`...)
	body = append(body, word...)
	body = appendMember(body, `","accepted":`, batch.accepted())
	if batch.duplicates > 0 {
		body = appendMember(body, `,"duplicates":`, batch.duplicates)
	}
	if batch.delivering {
		body = appendMember(body, `,"delivered":`, batch.delivered)
		body = appendMember(body, `,"dead_lettered":`, batch.deadLettered)
	}
	*to = Response{status: status}
	if batch.refused.lines > 0 {
		to.retryAfter = h.waitOf(batch)
	}
	if status == http.StatusMultiStatus {
		// A distributor that sends batches takes a 207 without a list for a failure,
		// so the list is there even if it is empty: dead letters were accepted.
		body = batch.refused.appendMember(body)
	}
	to.body = append(body, '}')
}

// outcome is the status of a request of which some lines were accepted.
func (b *lineBatch) outcome() (status int, word string) {
	switch {
	case b.refused.lines > 0:
		return http.StatusMultiStatus, "partial"
	case b.delivering && b.delivered+b.deadLettered < b.stored:
		return http.StatusGatewayTimeout, "accepted"
	case b.delivering && b.deadLettered > 0:
		return http.StatusMultiStatus, "partial"
	case b.delivering && b.duplicates == 0: // of duplicates nobody knows here
		return http.StatusOK, "delivered"
	default:
		return http.StatusAccepted, "accepted"
	}
}

func appendMember(dst []byte, name string, value int) []byte {
	return strconv.AppendInt(append(dst, name...), int64(value), 10)
}

// refuseAllLines answers when no line was taken.
func (h *Handler) refuseAllLines(batch *lineBatch, to *Response) {
	why := problem.Problem{Code: problem.Malformed, Detail: "no line of the body is a packet that can be taken; each is listed with its reason"}
	switch {
	case batch.refused.lines == 0:
		why.Detail = "the body has no lines: send one packet a line"
		h.metrics.refuse(why.Code)
	case batch.retryable != "":
		why.Code, why.Detail = batch.retryable, details[batch.retryable]
	case batch.oneCode && batch.first.Status() == http.StatusBadRequest:
		why.Code = batch.first
	}
	why.RetryAfter = h.waitOf(batch)
	to.refuse(why)
	if batch.refused.lines > 0 {
		document := batch.refused.appendMember(to.body[:len(to.body)-1])
		to.body = append(document, '}')
	}
}

// waitOf returns the longest wait of the lines that were refused for now, in
// seconds, or 0.
func (h *Handler) waitOf(batch *lineBatch) int {
	if batch.retryable == "" {
		return 0
	}
	wait := batch.wait
	if batch.retryable != problem.RateLimited {
		wait = max(wait, h.retryAfter(batch.retryable))
	}
	return wait
}

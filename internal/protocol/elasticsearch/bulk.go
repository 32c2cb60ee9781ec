package elasticsearch

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// bulk answers a bulk request.
func (p *Protocol) bulk(r *server.Request, from receiver.Sender, d destination, to *http1.Response) {
	ctx, cancel := receiver.WithCapacityTimeout()
	defer cancel()
	var arrived head
	if isBulkHelper(r.Head) {
		r.Body = io.TeeReader(r.Body, &arrived)
	}
	body, why := p.receiver.Read(ctx, r)
	if why != nil {
		var operations []operation
		if isTemporary(why.HTTPStatus()) {
			operations = unreadOperations(r, d, &arrived, p.receiver.MaxBodyBytes())
		}
		p.refuseBulk(r, why, operations, to)
		return
	}
	var operations []operation
	if isBulkHelper(r.Head) {
		operations = operationsOf(body.Body)
	}
	response, why := p.accept(ctx, r, from, d, body)
	if why != nil {
		p.refuseBulk(r, why, operations, to)
		return
	}
	answer(to, http.StatusOK, "")
	to.Body = response.finish()
	to.Sent = func() { p.receiver.Release(response.items) }
}

// refuseBulk refuses a whole request in the form that its client can handle. None of the documents
// is accepted.
func (p *Protocol) refuseBulk(r *server.Request, why *problem.Problem, operations []operation, to *http1.Response) {
	switch {
	case !isTemporary(why.HTTPStatus()):
		refuse(to, why)
	case len(operations) > 0:
		answer(to, http.StatusOK, busyReply(operations, why.Detail))
	case isBulkHelper(r.Head):
		refuse(to, why)
		to.Status = http.StatusServiceUnavailable // the client sends again a few times
	default:
		refuseForNow(r, why, to)
	}
}

// refuseForNow refuses a request that may be accepted later. A request without User-Agent comes
// from rsyslog, which drops a request after any error status, and sends a request again after no
// response.
func refuseForNow(r *server.Request, why *problem.Problem, to *http1.Response) {
	refuse(to, why)
	to.Unanswered = isTemporary(why.HTTPStatus()) && r.Head.Field("user-agent") == nil
}

// accept submits the documents of a request, or returns why they are not accepted. It releases the
// body; the caller releases the items of the reply.
func (p *Protocol) accept(ctx context.Context, r *server.Request, from receiver.Sender, d destination, body *packet.Packet) (*reply, *problem.Problem) {
	path, _ := r.Parameter("filter_path")
	response := &reply{filter: filterOf(path), ids: p.receiver.SequenceID().Text}
	packets := p.receiver.NewPackets(ctx, body)
	t := p.translators.Get().(*translator)
	t.begin(packets, from.Client, time.Now())
	if isBeat(r.Head) {
		t.content = sha256.New()
	}
	packets.Expect(len(body.Body) * 3 / 2)
	err := p.translate(t, d, body.Body, response)
	id, content := p.id(from, d, t, body.Body, receiver.ID{Text: response.ids})
	t.trim()
	p.translators.Put(t)
	p.receiver.Release(body)
	var why *problem.Problem
	if err != nil {
		why = p.receiver.RefuseUntranslated(packets, err)
	} else {
		why = p.receiver.AcceptContent(ctx, from, packets, id, content)
	}
	if why != nil {
		if response.items != nil {
			p.receiver.Release(response.items)
		}
		return nil, why
	}
	for code, documents := range response.refused {
		p.receiver.Reject(code, documents, "client", from.Client)
	}
	return response, nil
}

var errItems = fmt.Errorf("%w: a request has at most %d documents", record.ErrTooLarge, maxItems)

// translate makes the packets and the items of the reply.
func (p *Protocol) translate(t *translator, d destination, body []byte, response *reply) error {
	list := actions{rest: body, index: []byte(d.index)}
	for {
		one, ok, err := list.next()
		switch {
		case err != nil:
			return err
		case !ok && response.count == 0:
			return errors.New("request body is required: it has no actions")
		case !ok:
			return nil
		case response.count == maxItems:
			return errItems
		}
		refusal := t.do(&one)
		if _, unavailable := errors.AsType[record.UnavailableError](refusal); unavailable {
			return refusal
		}
		if response.items, err = t.packets.Enlarge(response.items, response.maxItemBytes(&one)); err != nil {
			return err
		}
		response.add(&one, refusal)
	}
}

// id returns the id of a request's packets: a hash of the ids of its documents, or of its content, or
// a new id. The content is equal when the request is repeated; the bodies of the packets are not if
// they have times of arrival, or their members come in another order.
func (p *Protocol) id(from receiver.Sender, d destination, t *translator, body []byte, otherwise receiver.ID) (id receiver.ID, content string) {
	whole := body
	if t.content != nil {
		whole = t.content.Sum(nil)
	}
	switch ids := t.identity(); {
	case ids != nil && (t.untimed || t.content != nil):
		sum := sha256.Sum256(whole)
		return p.receiver.ContentID(from, "ids", ids), string(sum[:])
	case ids != nil:
		return p.receiver.ContentID(from, "ids", ids), ""
	case t.untimed:
		return otherwise, ""
	case t.content != nil:
		return p.receiver.ContentID(from, "_bulk "+d.index, whole), string(whole)
	default:
		id = p.receiver.ContentID(from, "_bulk "+d.index, body)
		return id, p.receiver.ContentOf(id)
	}
}

// isBeat reports whether the client is one of the Beats, such as Filebeat, which encode a request anew
// to send it again, with the members of objects in any order.
func isBeat(head *http1.Head) bool {
	return http1.Is(head.Field("x-elastic-product-origin"), "beats")
}

// operationsOf returns the operations of a bulk request, up to one that is malformed.
func operationsOf(body []byte) (operations []operation) {
	list := actions{rest: body}
	for len(operations) < maxItems {
		one, ok, err := list.next()
		if !ok || err != nil {
			break
		}
		operations = append(operations, one.operation)
	}
	return operations
}

// maxActionBytes bounds the line of an action in a body whose actions are only counted.
const maxActionBytes = 64 << 10

// unreadOperations returns the operations of a request of the bulk helper if there is no memory for
// its body: it reads the body and counts the actions. It returns none for other clients, and if the
// body cannot be read or has more than maxBytes, decoded.
func unreadOperations(r *server.Request, d destination, arrived *head, maxBytes int) (operations []operation) {
	if !isBulkHelper(r.Head) || arrived.tooLong {
		return nil
	}
	arrived.ended = true
	body, err := decoded(r.Head, io.MultiReader(bytes.NewReader(arrived.text), r.Body))
	if err != nil {
		return nil
	}
	bounded := &io.LimitedReader{R: body, N: int64(maxBytes) + 1}
	lines := bufio.NewReaderSize(bounded, maxActionBytes)
	for len(operations) < maxItems {
		line, err := lines.ReadSlice('\n')
		if len(trim(line)) == 0 && err == nil {
			continue
		}
		if bounded.N == 0 {
			return nil
		}
		if len(line) == 0 && errors.Is(err, io.EOF) {
			return operations
		}
		list := actions{index: []byte(d.index)}
		one, malformed := list.parse(trim(line))
		if malformed != nil || err != nil && !errors.Is(err, io.EOF) {
			return nil
		}
		operations = append(operations, one.operation)
		if one.operation != remove && !skipLine(lines) {
			return nil
		}
	}
	return operations
}

// decoded returns a body without its coding, which must be gzip alone.
func decoded(head *http1.Head, body io.Reader) (io.Reader, error) {
	coded := false
	for coding := range head.Values("content-encoding") {
		if coded || !http1.Is(coding, "gzip") {
			return nil, errors.New("another coding than gzip")
		}
		coded = true
	}
	if !coded {
		return body, nil
	}
	return gzip.NewReader(body)
}

// maxHead bounds the part of a body that is kept, so that its actions can be counted when there is
// no memory for the rest.
const maxHead = 1 << 20

// head keeps the beginning of a body.
type head struct {
	text           []byte
	tooLong, ended bool
}

// Write implements io.Writer.
func (h *head) Write(part []byte) (int, error) {
	switch {
	case h.ended || h.tooLong:
	case len(h.text)+len(part) > maxHead:
		h.text, h.tooLong = nil, true
	default:
		h.text = append(h.text, part...)
	}
	return len(part), nil
}

// skipLine reports whether there was a line.
func skipLine(lines *bufio.Reader) bool {
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == nil, errors.Is(err, io.EOF) && len(line) > 0:
			return true
		case !errors.Is(err, bufio.ErrBufferFull):
			return false
		}
	}
}

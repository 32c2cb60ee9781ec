package elasticsearch

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// reply is a response to a bulk request while it is written. The order of its members matters:
// Fluent Bit searches the beginning of a response for "errors":false,"items".
type reply struct {
	filter  filter
	ids     string // prefix of the ids of documents without an id
	errors  bool   // some items are refused
	refused map[problem.Code]int
	items   *packet.Packet // the text of the items behind headBytes; in lent memory
	count   int
	// The beginning of an item with the latest operation and index, and the end of an accepted
	// item.
	operation operation
	index     []byte
	begin     []byte
	end       []byte
}

// headBytes is the maximum size of the response before its items.
const headBytes = 64

// maxItemBytes returns the maximum size of an item, with the beginning and the end of the response.
func (r *reply) maxItemBytes(one *action) int {
	const (
		itemBytes  = 512            // without its names and the reason of its error
		perByte    = len("\\u0000") // in JSON
		otherBytes = headBytes + perByte*maxReasonBytes
	)
	return itemBytes + otherBytes + len(r.ids) + perByte*(len(one.index)+len(one.id))
}

// add adds an item to the text, which must have capacity for it. err is why the document is
// refused, or nil.
func (r *reply) add(one *action, err error) {
	text := r.items.Body
	if r.count > 0 {
		text = append(text, ',')
	} else {
		text = text[:headBytes]
	}
	if r.begin == nil || one.operation != r.operation || !bytes.Equal(one.index, r.index) {
		r.prepare(one)
	}
	text = append(text, r.begin...)
	if r.filter[partID] {
		text = append(r.appendID(append(text, `"_id":`...), one.id), ',')
	}
	if err == nil {
		text = append(text, r.end...)
	} else {
		text = r.appendRefused(text, err)
		r.errors = true
		r.refuse(err)
	}
	if last := len(text) - 1; text[last] == ',' {
		text = text[:last]
	}
	r.items.Body = append(text, '}', '}')
	r.count++
}

// refuse counts a document that is refused.
func (r *reply) refuse(err error) {
	code := problem.Malformed
	if errors.Is(err, record.ErrTooLarge) {
		code = problem.TooLarge
	}
	if r.refused == nil {
		r.refused = make(map[problem.Code]int)
	}
	r.refused[code]++
}

// prepare writes the beginning that items with this operation and index have in common.
func (r *reply) prepare(one *action) {
	r.operation, r.index = one.operation, append(r.index[:0], one.index...)
	r.begin = append(append(append(r.begin[:0], `{"`...), one.operation.String()...), `":{`...)
	if r.filter[partIndex] {
		r.begin = append(record.AppendQuoted(append(r.begin, `"_index":`...), one.index), ',')
	}
	r.end = r.appendCreated(r.end[:0])
}

func (r *reply) appendID(text, id []byte) []byte {
	if len(id) > 0 {
		return record.AppendQuoted(text, id)
	}
	text = append(append(append(text, '"'), r.ids...), '-')
	return append(strconv.AppendInt(text, int64(r.count), 10), '"')
}

// created has the members of an accepted item.
var created = [...]struct {
	part int
	text string
}{
	{partVersion, `"_version":1,`}, {partResult, `"result":"created",`}, {partShards, `"_shards":{"total":1,"successful":1,"failed":0},`},
	{partSeqNo, `"_seq_no":0,`}, {partPrimaryTerm, `"_primary_term":1,`}, {partStatus, `"status":201,`},
}

func (r *reply) appendCreated(text []byte) []byte {
	for _, one := range created {
		if r.filter[one.part] {
			text = append(text, one.text...)
		}
	}
	return text
}

// maxReasonBytes bounds the reason of an item's error, which may quote the document.
const maxReasonBytes = 200

func (r *reply) appendRefused(text []byte, err error) []byte {
	if r.filter[partStatus] {
		text = append(text, `"status":400,`...)
	}
	if r.filter[partError] {
		reason := err.Error()
		reason = reason[:min(len(reason), maxReasonBytes)]
		text = append(appendCause(append(text, `"error":`...), "document_parsing_exception", reason), ',')
	}
	return text
}

// finish writes the end of the response after its items.
func (r *reply) finish() []byte {
	head := r.appendHead(make([]byte, 0, headBytes))
	text := r.items.Body
	if !r.filter.hasItems() {
		return append(append(text[:0], head...), '}')
	}
	text = append(text, ']', '}')[headBytes-len(head):]
	copy(text, head)
	return text
}

func (r *reply) appendHead(text []byte) []byte {
	text = append(text, '{')
	if r.filter[partTook] {
		text = append(text, `"took":1,`...)
	}
	if r.filter[partErrors] {
		text = append(strconv.AppendBool(append(text, `"errors":`...), r.errors), ',')
	}
	if r.filter.hasItems() {
		return append(text, `"items":[`...)
	}
	return bytes.TrimSuffix(text, []byte{','})
}

// busyReply returns a response that refuses all items with 429.
func busyReply(operations []operation, reason string) []byte {
	cause := appendCause([]byte(`":{"status":429,"error":`), "es_rejected_execution_exception", reason)
	cause = append(cause, '}', '}')
	text := []byte(`{"took":1,"errors":true,"items":[`)
	for n, one := range operations {
		if n > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, `{"`...), one.String()...), cause...)
	}
	return append(text, "]}"...)
}

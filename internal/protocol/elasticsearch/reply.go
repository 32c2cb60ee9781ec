package elasticsearch

import (
	"bytes"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// reply is the answer to a bulk request while it is made. The order of its members matters:
// Fluent Bit looks for "errors":false,"items" in the beginning of an answer.
type reply struct {
	filter  filter
	ids     string // begins the ids of documents that come without one
	errors  bool   // some items are refused
	refused int
	items   *packet.Packet // the text of the items behind headBytes; in lent memory
	count   int
}

// headBytes is what the beginning of an answer takes at most, before its items.
const headBytes = 64

// room returns how many bytes an item takes at most, with the beginning and the end of the answer.
func (r *reply) room(one *action) int {
	const (
		itemBytes  = 512            // without its names and the reason of its error
		perByte    = len("\\u0000") // in JSON
		otherBytes = headBytes + perByte*maxReasonBytes
	)
	return itemBytes + otherBytes + len(r.ids) + perByte*(len(one.index)+len(one.id))
}

// add adds an item to the text, which must have room for it. err is why the document is refused,
// or nil.
func (r *reply) add(one *action, err error) {
	text := r.items.Body
	if r.count > 0 {
		text = append(text, ',')
	} else {
		text = text[:headBytes]
	}
	text = append(append(append(text, `{"`...), one.operation.String()...), `":{`...)
	start := len(text)
	if r.filter[partIndex] {
		text = record.AppendQuoted(append(text, `"_index":`...), one.index)
		text = append(text, ',')
	}
	if r.filter[partID] {
		text = append(r.appendID(append(text, `"_id":`...), one.id), ',')
	}
	if err == nil {
		text = r.appendCreated(text)
	} else {
		text = r.appendRefused(text, err)
		r.errors = true
		r.refused++
	}
	if len(text) > start {
		text = text[:len(text)-1] // the comma
	}
	r.items.Body = append(text, '}', '}')
	r.count++
}

func (r *reply) appendID(text, id []byte) []byte {
	if len(id) > 0 {
		return record.AppendQuoted(text, id)
	}
	text = append(append(append(text, '"'), r.ids...), '-')
	return append(strconv.AppendInt(text, int64(r.count), 10), '"')
}

// created are the members of an item that was accepted.
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

// finish completes the answer around its items.
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

// busyReply returns an answer that refuses all items with 429.
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

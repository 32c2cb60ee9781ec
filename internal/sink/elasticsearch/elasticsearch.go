// Package elasticsearch translates packets into documents of Elasticsearch and OpenSearch,
// by requests to _bulk. Each document has an id of its own, so that a repetition is refused
// as a duplicate.
package elasticsearch

import (
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/record"
)

// defaultIndex is a data stream by the templates that Elasticsearch comes with.
const defaultIndex = "logs-logstreamer-default"

// Backend returns an Elasticsearch. Option: index. Without it, documents that came with an
// index go to that one, and others to defaultIndex.
func Backend(o *httpsink.Options) httpsink.Backend {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789._-"
	index := o.Matching("index", "", allowed)
	return httpsink.Backend{
		// A success is a short response.
		Path:        "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason",
		ContentType: "application/x-ndjson",
		TokenScheme: "ApiKey",
		Probe:       httpsink.Probe{Method: http.MethodGet, Path: "/"},
		NewCodec: func() httpsink.Codec {
			return &codec{record: record.NewReader(reserved), index: index, hash: sha256.New()}
		},
	}
}

// reserved reports the names of the codec's fields, and those that Elasticsearch keeps for
// itself.
func reserved(name []byte) bool {
	switch string(name) {
	case "@timestamp", "message", "log.level", "emitter_id", "packet_id":
		return true
	}
	return len(name) > 0 && name[0] == '_'
}

type codec struct {
	record *record.Reader
	index  string // empty: that of the document
	hash   hash.Hash
	id     []byte // of the packet
	sum    []byte
}

// Encode implements httpsink.Codec.
func (c *codec) Encode(r *httpsink.Request, packets []*packet.Packet) {
	for _, p := range packets {
		c.record.Reset(p)
		c.setID(p.Body)
		for i := 0; c.record.Next(); i++ {
			r.Body = c.appendAction(r.Body, i)
			r.Body = c.appendDocument(r.Body)
		}
	}
}

// setID sets the id of the packet: 128 bits of a hash of its ids.
func (c *codec) setID(body []byte) {
	c.sum = c.record.EmitterID.AppendDecoded(c.sum[:0], body)
	c.sum = append(c.sum, 0)
	c.sum = c.record.PacketID.AppendDecoded(c.sum, body)
	c.hash.Reset()
	_, _ = c.hash.Write(c.sum)
	c.sum = c.hash.Sum(c.sum[:0])
	c.id = base64.RawURLEncoding.AppendEncode(c.id[:0], c.sum[:16])
}

// appendAction appends the line before the document of message i. A document that came
// from Elasticsearch keeps its id while it keeps its index.
func (c *codec) appendAction(dst []byte, i int) []byte {
	r := c.record
	index, id := c.takeOrigin()
	dst = append(dst, `{"create":{"_index":`...)
	switch {
	case c.index != "":
		if !index.IsEmpty() && !r.Is(index, c.index) {
			id = packet.Text{} // another index may have the same id
		}
		dst = packet.AppendQuoted(dst, c.index)
	case !index.IsEmpty():
		dst = index.AppendJSON(dst, r.Body)
	default:
		dst = packet.AppendQuoted(dst, defaultIndex)
	}
	dst = append(dst, `,"_id":`...)
	if !id.IsEmpty() {
		dst = id.AppendJSON(dst, r.Body)
	} else {
		dst = append(append(dst, '"'), c.id...)
		dst = strconv.AppendInt(append(dst, '-'), int64(i), 10)
		dst = append(dst, '"')
	}
	return append(dst, "}}\n"...)
}

// takeOrigin takes the index and the id that the document had out of the record.
func (c *codec) takeOrigin() (index, id packet.Text) {
	r := c.record
	kept := r.Fields[:0]
	for _, f := range r.Fields {
		switch string(f.Name) {
		case "es.index":
			index = f.Value
		case "es.id":
			id = f.Value
		default:
			kept = append(kept, f)
		}
	}
	r.Fields = kept
	return index, id
}

func (c *codec) appendDocument(dst []byte) []byte {
	r := c.record
	dst = append(dst, `{"@timestamp":"`...)
	dst = record.AppendTime(dst, r.Nanoseconds)
	dst = append(dst, `","message":`...)
	dst = r.Message.Text.AppendJSON(dst, r.Body)
	dst = append(dst, `,"log.level":`...)
	dst = r.Message.Level.AppendJSON(dst, r.Body)
	dst = r.AppendIDs(dst)
	dst = r.AppendTyped(dst)
	return append(dst, "}\n"...)
}

// Result implements httpsink.Codec.
func (c *codec) Result(r *httpsink.Response, packets []*packet.Packet) sink.Result {
	if !r.Success() {
		return r.Result()
	}
	if succeeded(r.Body) {
		return sink.Result{Outcome: sink.Delivered}
	}
	items, err := readItems(r.Body, packets)
	if err != nil {
		return r.Unreadable(err)
	}
	return resultOf(r, items, packets)
}

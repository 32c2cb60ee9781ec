// Package hec translates packets for the HTTP Event Collector of Splunk.
package hec

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/record"
)

// Backend returns a collector. Options: index and sourcetype, by default those of the token.
func Backend(o *httpsink.Options) httpsink.Backend {
	var suffix []byte
	for _, name := range []string{"index", "sourcetype"} {
		if value := o.Text(name, ""); value != "" {
			suffix = append(append(suffix, `,"`...), name...)
			suffix = append(suffix, `":`...)
			suffix = packet.AppendQuoted(suffix, value)
		}
	}
	suffix = append(suffix, "}\n"...)
	return httpsink.Backend{
		Path:        "/services/collector/event",
		ContentType: "application/json",
		TokenScheme: "Splunk",
		Probe:       httpsink.Probe{Method: http.MethodGet, Path: "/services/collector/health"},
		NewCodec:    func() httpsink.Codec { return &codec{record: record.NewReader(reserved), suffix: suffix} },
	}
}

// errNoCode is the error of a success without the code of success.
var errNoCode = errors.New("the answer has no code 0")

func reserved(name []byte) bool {
	switch string(name) {
	case "level", "emitter_id", "packet_id":
		return true
	}
	return false
}

type codec struct {
	record *record.Reader
	suffix []byte // of each event
}

// Encode implements httpsink.Codec.
func (c *codec) Encode(r *httpsink.Request, packets []*packet.Packet) {
	for _, p := range packets {
		c.record.Reset(p)
		for c.record.Next() {
			r.Body = c.appendEvent(r.Body)
		}
	}
}

func (c *codec) appendEvent(dst []byte) []byte {
	r := c.record
	dst = append(dst, `{"time":`...)
	dst = appendSeconds(dst, r.Nanoseconds)
	if len(r.Host) > 0 {
		dst = append(dst, `,"host":`...)
		dst = packet.AppendQuoted(dst, r.Host)
	}
	dst = append(dst, `,"source":`...)
	dst = packet.AppendQuoted(dst, r.Service)
	dst = append(dst, `,"event":`...)
	dst = r.Message.Text.AppendJSON(dst, r.Body)
	dst = append(dst, `,"fields":{"level":`...)
	dst = r.Message.Level.AppendJSON(dst, r.Body)
	dst = r.AppendIDs(dst)
	dst = r.AppendStrings(dst)
	dst = append(dst, '}')
	return append(dst, c.suffix...)
}

// appendSeconds appends a time as decimal seconds without trailing zeros.
func appendSeconds(dst []byte, nanoseconds int64) []byte {
	const second = 1_000_000_000
	dst = strconv.AppendInt(dst, nanoseconds/second, 10)
	fraction := nanoseconds % second
	if fraction == 0 {
		return dst
	}
	start := len(dst)
	dst = strconv.AppendInt(dst, second+fraction, 10)
	dst[start] = '.' // the leading 1 kept the zeros
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// Result implements httpsink.Codec. The code of the response is more precise than its status.
func (c *codec) Result(r *httpsink.Response, _ []*packet.Packet) sink.Result {
	var response struct{ Code *int }
	if err := json.Unmarshal(r.Body, &response); err != nil || response.Code == nil {
		if r.Success() {
			return r.Unreadable(errNoCode)
		}
		return r.Result()
	}
	switch *response.Code {
	case 0:
		if r.Success() {
			return sink.Result{Outcome: sink.Delivered}
		}
	case 9, 18, 23: // busy, queues full, shutting down
		return r.Throttled()
	case 8: // internal error
		return r.Failed()
	case 5, 6, 12, 13: // no data, invalid data, event field required, blank
		return r.Rejected(sink.Malformed)
	case 1, 2, 3, 4, 7, 10, 11: // token, incorrect index, a channel is required
		return r.Misconfigured()
	}
	if r.Success() {
		return r.Unreadable(errNoCode)
	}
	return r.Result()
}

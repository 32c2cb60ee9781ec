// Package vlogs translates packets for VictoriaLogs: JSON lines, of which emitter_id names
// the log stream.
package vlogs

import (
	"net/http"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/record"
)

// Backend returns VictoriaLogs, which has no options of its own.
func Backend(*httpsink.Options) httpsink.Backend {
	return httpsink.Backend{
		Path:        "/insert/jsonline?_stream_fields=emitter_id&_msg_field=_msg&_time_field=_time",
		ContentType: "application/stream+json",
		Probe:       httpsink.Probe{Method: http.MethodGet, Path: "/insert/ready"},
		NewCodec:    func() httpsink.Codec { return &codec{record.NewReader(reserved)} },
	}
}

// reserved reports the names of the codec's fields, and those of VictoriaLogs.
func reserved(name []byte) bool {
	switch string(name) {
	case "_time", "_msg", "_stream", "_stream_id", "level", "emitter_id", "packet_id":
		return true
	}
	return false
}

type codec struct{ record *record.Reader }

// Encode implements httpsink.Codec.
func (c *codec) Encode(r *httpsink.Request, packets []*packet.Packet) {
	for _, p := range packets {
		c.record.Reset(p)
		for c.record.Next() {
			r.Body = c.appendLine(r.Body)
		}
	}
}

func (c *codec) appendLine(dst []byte) []byte {
	r := c.record
	dst = append(dst, `{"_time":"`...)
	dst = record.AppendTime(dst, r.Nanoseconds)
	dst = append(dst, `","_msg":`...)
	dst = r.Message.Text.AppendJSON(dst, r.Body)
	dst = append(dst, `,"level":`...)
	dst = r.Message.Level.AppendJSON(dst, r.Body)
	dst = r.AppendIDs(dst)
	dst = r.AppendStrings(dst)
	return append(dst, "}\n"...)
}

// Result implements httpsink.Codec.
func (c *codec) Result(r *httpsink.Response, _ []*packet.Packet) sink.Result { return r.Result() }

// Package otlp translates packets into the logs of the OpenTelemetry protocol over HTTP.
package otlp

import (
	"errors"
	"net/http"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
)

// Backend returns a receiver of OTLP, which has no options of its own.
func Backend(*httpsink.Options) httpsink.Backend {
	return httpsink.Backend{
		Path:        "/v1/logs",
		ContentType: "application/x-protobuf",
		Probe:       httpsink.Probe{Method: http.MethodPost, Path: "/v1/logs", Body: []byte{}},
		Origins:     true,
		NewCodec:    func() httpsink.Codec { return &codec{newEncoder()} },
	}
}

type codec struct{ encoder *encoder }

// maxKeptBytes bounds what a sender keeps between requests.
const maxKeptBytes = 4 << 20

// Encode implements httpsink.Codec.
func (c *codec) Encode(r *httpsink.Request, packets []*packet.Packet) {
	r.Body = c.encoder.append(r.Body, packets)
	if len(r.Body) > maxKeptBytes {
		c.encoder = newEncoder()
	}
}

var errResponse = errors.New("the answer is no ExportLogsServiceResponse")

// Result implements httpsink.Codec. Records that the receiver rejects must not be sent again,
// and it does not say which they are.
func (c *codec) Result(r *httpsink.Response, _ []*packet.Packet) sink.Result {
	result := r.Result()
	if result.Outcome != sink.Delivered {
		return result
	}
	rejected, why, ok := partialSuccess(r.Body)
	if !ok {
		return r.Unreadable(errResponse)
	}
	result.Dropped, result.Detail = rejected, why
	return result
}

// partialSuccess returns the number of rejected records of an ExportLogsServiceResponse.
func partialSuccess(response []byte) (rejected int64, why string, ok bool) {
	f := protobuf.Fields{Rest: response}
	for f.Next() {
		if f.Tag != 1<<3|protobuf.Bytes {
			continue
		}
		partial := protobuf.Fields{Rest: f.Text}
		for partial.Next() {
			switch partial.Tag {
			case 1<<3 | protobuf.Varint:
				rejected = int64(partial.Number)
			case 2<<3 | protobuf.Bytes:
				why = string(partial.Text)
			}
		}
		f.Malformed = f.Malformed || partial.Malformed
	}
	return max(rejected, 0), why, !f.Malformed
}

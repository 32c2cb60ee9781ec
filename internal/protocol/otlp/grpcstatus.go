package otlp

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// grpcStatus is the status of a refused call.
type grpcStatus struct {
	code    int
	message string
	// retryAfter is the delay of RetryInfo in seconds; with 0 there is no RetryInfo, and the client
	// must not send the request again.
	retryAfter int
}

// statusOf returns the status of a problem. The status of a message that is too large has no
// RetryInfo, so that clients do not send it again.
func statusOf(p *problem.Problem) *grpcStatus {
	r := refusalOf(p)
	s := &grpcStatus{code: r.code, message: string(p.Code) + ": " + p.Detail, retryAfter: r.retryAfter}
	if p.Code == problem.TooLarge {
		s.code = resourceExhausted
	}
	return s
}

// refuse answers a call with a status.
func (g *GRPC) refuse(w http.ResponseWriter, s *grpcStatus) {
	// Trailers are sent after a response that has begun.
	if err := http.NewResponseController(w).Flush(); err != nil {
		return // the client has disconnected
	}
	trailer := w.Header()
	trailer.Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(s.code))
	trailer.Set(http.TrailerPrefix+"Grpc-Message", percentEncoded(s.message))
	if s.retryAfter > 0 {
		trailer.Set(http.TrailerPrefix+"Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(s.appendDetails(nil)))
	}
}

// appendDetails appends a google.rpc.Status with a google.rpc.RetryInfo.
func (s *grpcStatus) appendDetails(text []byte) []byte {
	text = protobuf.AppendVarint(text, 1<<3|protobuf.Varint, uint64(s.code))
	text = protobuf.AppendText(text, 2<<3|protobuf.Bytes, []byte(s.message))
	text, detail := protobuf.Open(text, 3<<3|protobuf.Bytes) // google.protobuf.Any
	text = protobuf.AppendText(text, 1<<3|protobuf.Bytes, []byte("type.googleapis.com/google.rpc.RetryInfo"))
	text, value := protobuf.Open(text, 2<<3|protobuf.Bytes)
	text, delay := protobuf.Open(text, 1<<3|protobuf.Bytes) // google.protobuf.Duration
	text = protobuf.AppendVarint(text, 1<<3|protobuf.Varint, uint64(s.retryAfter))
	return protobuf.Close(protobuf.Close(protobuf.Close(text, delay), value), detail)
}

// percentEncoded returns a text as gRPC encodes it in Grpc-Message.
func percentEncoded(text string) string {
	const hex = "0123456789ABCDEF"
	var encoded strings.Builder
	for n := range len(text) {
		if c := text[n]; c < ' ' || c > '~' || c == '%' {
			encoded.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			encoded.WriteByte(c)
		}
	}
	return encoded.String()
}

package otlp

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// encoding is that of requests and responses.
type encoding int

const (
	encodingUnknown encoding = iota // answered as JSON
	encodingProtobuf
	encodingJSON
)

func encodingOf(contentType []byte) encoding {
	for i, c := range contentType {
		if c == ';' || c == ' ' {
			contentType = contentType[:i]
			break
		}
	}
	switch {
	case http1.Is(contentType, protobufMediaType):
		return encodingProtobuf
	case http1.Is(contentType, jsonMediaType):
		return encodingJSON
	default:
		return encodingUnknown
	}
}

func (e encoding) mediaType() string {
	if e == encodingProtobuf {
		return protobufMediaType
	}
	return jsonMediaType
}

// succeed answers with an ExportLogsServiceResponse, which is empty unless records are
// rejected.
func succeed(to *http1.Response, e encoding, sum summary) {
	*to = http1.Response{Status: http.StatusOK, ContentType: e.mediaType(), Body: to.Body[:0]}
	switch {
	case e == encodingProtobuf:
		to.Body = appendResponse(to.Body, sum)
	case sum.rejected == 0:
		to.Body = append(to.Body, "{}"...)
	default:
		to.Body = strconv.AppendInt(append(to.Body, `{"partialSuccess":{"rejectedLogRecords":"`...), int64(sum.rejected), 10)
		to.Body = packet.AppendQuoted(append(to.Body, `","errorMessage":`...), sum.why.Error())
		to.Body = append(to.Body, "}}"...)
	}
}

// appendResponse appends an ExportLogsServiceResponse.
func appendResponse(dst []byte, sum summary) []byte {
	if sum.rejected == 0 {
		return dst
	}
	dst, begin := protobuf.Open(dst, 1<<3|protobuf.Bytes)
	dst = protobuf.AppendVarint(dst, 1<<3|protobuf.Varint, uint64(sum.rejected))
	dst = protobuf.AppendText(dst, 2<<3|protobuf.Bytes, []byte(sum.why.Error()))
	return protobuf.Close(dst, begin)
}

// The codes of google.rpc.Status that are used.
const (
	invalidArgument   = 3
	permissionDenied  = 7
	resourceExhausted = 8
	unimplemented     = 12
	unavailable       = 14
	unauthenticated   = 16
)

// maxRetryAfter is the maximum wait that is asked of clients, in seconds: clients limit the time
// that they spend on a request.
const maxRetryAfter = 5

// refusal is a problem in the terms of OTLP.
type refusal struct {
	status     int // of HTTP
	code       int // of google.rpc.Status
	retryAfter int // seconds; 0: the client must not send the request again
}

// refusalOf returns the refusal of a problem. Clients retry after 503 and 429; many drop requests
// after 408 or any other 5xx.
func refusalOf(p *problem.Problem) refusal {
	again := min(max(p.RetryAfter, 1), maxRetryAfter)
	switch status := cmp.Or(p.Status, p.Code.Status()); status {
	case http.StatusTooManyRequests:
		return refusal{status, resourceExhausted, again}
	case http.StatusUnauthorized:
		return refusal{status, unauthenticated, 0}
	case http.StatusForbidden:
		return refusal{status, permissionDenied, 0}
	case http.StatusMethodNotAllowed:
		return refusal{status, unimplemented, 0}
	case http.StatusRequestTimeout:
		return refusal{http.StatusServiceUnavailable, unavailable, again}
	default:
		if status >= http.StatusInternalServerError {
			return refusal{http.StatusServiceUnavailable, unavailable, again}
		}
		return refusal{status, invalidArgument, 0}
	}
}

// refuse answers with a google.rpc.Status.
func (h *HTTP) refuse(to *http1.Response, e encoding, p *problem.Problem) {
	r := refusalOf(p)
	*to = http1.Response{Status: r.status, ContentType: e.mediaType(), RetryAfter: r.retryAfter, Body: to.Body[:0]}
	if r.status == http.StatusUnauthorized {
		to.Authenticate = "Bearer"
	}
	message := string(p.Code) + ": " + p.Detail
	if e == encodingProtobuf {
		to.Body = protobuf.AppendVarint(to.Body, 1<<3|protobuf.Varint, uint64(r.code))
		to.Body = protobuf.AppendText(to.Body, 2<<3|protobuf.Bytes, []byte(message))
		return
	}
	to.Body = strconv.AppendInt(append(to.Body, `{"code":`...), int64(r.code), 10)
	to.Body = append(packet.AppendQuoted(append(to.Body, `,"message":`...), message), '}')
}

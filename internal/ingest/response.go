package ingest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// Response is the answer to a request. Its memory may be used again.
type Response struct {
	status     int
	retryAfter int    // seconds; 0 is not told
	allow      string // the methods of a path, for 405
	refusal    bool   // the body is a problem document
	body       []byte
	// sent, unless nil, gives back the memory of a long body. It is to be called
	// when that is sent, or cannot be.
	sent func()
}

// JSON answers with a JSON text, which the Response keeps.
func (r *Response) JSON(status int, body []byte) { *r = Response{status: status, body: body} }

// Status returns the answer's status.
func (r *Response) Status() int { return r.status }

// RetryAfter returns when a new attempt makes sense, 0 when nothing is said of it.
func (r *Response) RetryAfter() time.Duration { return time.Duration(r.retryAfter) * time.Second }

// Body returns the answer's body, which belongs to the Response.
func (r *Response) Body() []byte { return r.body }

// Problem answers with a problem, which is not counted as a refusal.
func (r *Response) Problem(why problem.Problem) { r.refuse(why) }

// How the answer ends that a packet is accepted.
const (
	endOfAccepted  = `"}`
	endOfDuplicate = `","duplicate":true}`
)

// accept answers that a packet is accepted. The answer shares no memory with it.
func (r *Response) accept(p *packet.Packet, end string) {
	body := append(r.body[:0], `{"status":"accepted","packet_id":"`...)
	body = append(body, p.PacketID.Raw(p.Body)...)
	*r = Response{status: http.StatusAccepted, body: append(body, end...)}
}

// refuse answers with a problem.
func (r *Response) refuse(why problem.Problem) {
	*r = Response{status: why.HTTPStatus(), retryAfter: why.RetryAfter, refusal: true, body: why.AppendJSON(r.body[:0])}
}

func (r *Response) contentType() string {
	if r.refusal {
		return problem.ContentType
	}
	return "application/json"
}

// manner is how an answer is written.
type manner struct {
	// date is when, see appendDate.
	date []byte
	// last says that the connection ends with the answer, and keepAlive, for
	// clients that speak HTTP/1.0, that it does not.
	last, keepAlive bool
}

// appendTo appends the answer as HTTP/1.1.
func (r *Response) appendTo(dst []byte, m manner) []byte {
	return append(r.appendHead(dst, m), r.body...)
}

func (r *Response) appendHead(dst []byte, m manner) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(r.status)...)
	dst = append(dst, "\r\nDate: "...)
	dst = append(dst, m.date...)
	dst = append(dst, "\r\nContent-Type: "...)
	dst = append(dst, r.contentType()...)
	if r.allow != "" {
		dst = append(dst, "\r\nAllow: "...)
		dst = append(dst, r.allow...)
	}
	if r.retryAfter > 0 {
		dst = append(dst, "\r\nRetry-After: "...)
		dst = strconv.AppendInt(dst, int64(r.retryAfter), 10)
	}
	switch {
	case m.last:
		dst = append(dst, "\r\nConnection: close"...)
	case m.keepAlive:
		dst = append(dst, "\r\nConnection: keep-alive"...)
	}
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(r.body)), 10)
	return append(dst, "\r\n\r\n"...)
}

// appendDate appends a Date field's value (RFC 9110 section 5.6.7).
func appendDate(dst []byte, now time.Time) []byte {
	return now.UTC().AppendFormat(dst, http.TimeFormat)
}

package ingest

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// reply is the answer to a request of packets. Its memory may be used again.
type reply struct {
	status     int
	retryAfter int  // seconds; 0 is not told
	refusal    bool // the body is a problem document
	body       []byte
	// sent, unless nil, gives back the memory of a long body. It is to be called
	// when that is sent, or cannot be.
	sent func()
}

// How the answer ends that a packet is accepted.
const (
	endOfAccepted  = `"}`
	endOfDuplicate = `","duplicate":true}`
)

// accept answers that a packet is accepted. The answer shares no memory with it.
func (r *reply) accept(p *packet.Packet, end string) {
	body := append(r.body[:0], `{"status":"accepted","packet_id":"`...)
	body = append(body, p.PacketID.Raw(p.Body)...)
	*r = reply{status: fasthttp.StatusAccepted, body: append(body, end...)}
}

// refuse answers with a problem.
func (r *reply) refuse(why problem.Problem) {
	*r = reply{status: why.HTTPStatus(), retryAfter: why.RetryAfter, refusal: true, body: why.AppendJSON(r.body[:0])}
}

func (r *reply) contentType() string {
	if r.refusal {
		return problem.ContentType
	}
	return "application/json"
}

// write answers a request of the library's server with it.
func (r *reply) write(ctx *fasthttp.RequestCtx) {
	ctx.Response.SetStatusCode(r.status)
	ctx.Response.Header.SetContentType(r.contentType())
	if r.retryAfter > 0 {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(r.retryAfter))
	}
	if r.sent == nil {
		ctx.Response.SetBody(r.body)
	} else {
		ctx.Response.SetBodyStream(&longBody{bytes.NewReader(r.body), r.sent}, len(r.body))
	}
}

// longBody is a body that the library's server sends without a copy of it.
type longBody struct {
	*bytes.Reader
	sent func()
}

// Close is called when the body is sent, or cannot be.
func (b *longBody) Close() error {
	b.sent()
	return nil
}

// appendTo appends it as HTTP/1.1; last says that the connection ends with it.
func (r *reply) appendTo(dst []byte, last bool) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.status), 10)
	dst = append(dst, ' ')
	dst = append(dst, fasthttp.StatusMessage(r.status)...)
	dst = append(dst, "\r\nContent-Type: "...)
	dst = append(dst, r.contentType()...)
	if r.retryAfter > 0 {
		dst = append(dst, "\r\nRetry-After: "...)
		dst = strconv.AppendInt(dst, int64(r.retryAfter), 10)
	}
	if last {
		dst = append(dst, "\r\nConnection: close"...)
	}
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(r.body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, r.body...)
}

package ingest

import (
	"bytes"
	"iter"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// lookAtHeader has the library do what it overlooks by itself. What is refused
// by its header goes to expect, as if the client had asked whether it may send
// the body: otherwise the server would wait for the body to begin.
func (h *Handler) lookAtHeader(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if h.faultOf(header) != nil || isField(header.Peek(fasthttp.HeaderExpect), "100-continue") {
		header.Set(fasthttp.HeaderExpect, "100-continue")
	}
	if endsConnection(header) {
		header.SetConnectionClose()
	}
	return fasthttp.RequestConfig{}
}

// expect answers clients that ask whether they may send the body.
func (h *Handler) expect(ctx *fasthttp.RequestCtx) int {
	why := h.faultOf(&ctx.Request.Header)
	if why == nil {
		return fasthttp.StatusContinue
	}
	h.refuse(ctx, *why)
	giveUp(ctx)
	return why.HTTPStatus()
}

// faultOf tells why a request is refused whatever its body is, or nothing.
func (h *Handler) faultOf(header *fasthttp.RequestHeader) *problem.Problem {
	switch {
	case header.ContentLength() > h.config.MaxBodyBytes:
		return h.bodies.tooLarge()
	case hasTwoLengths(header):
		return &problem.Problem{Code: problem.Malformed, Detail: "Content-Length and Transfer-Encoding must not come together"}
	}
	return nil
}

// hasTwoLengths tells whether it is said in two ways where the body ends. Who
// goes by the other one takes a part of the body for the next request.
func hasTwoLengths(header *fasthttp.RequestHeader) bool {
	length, encoding := false, false
	for name := range fieldsOf(header) {
		length = length || isField(name, "content-length")
		encoding = encoding || isField(name, "transfer-encoding")
	}
	return length && encoding
}

// endsConnection tells whether the client asks for it, in any case and beside
// other options. The library knows "close" alone, on the last of the lines.
func endsConnection(header *fasthttp.RequestHeader) bool {
	for name, value := range fieldsOf(header) {
		if !isField(name, "connection") {
			continue
		}
		for option := range bytes.SplitSeq(value, []byte{','}) {
			if isField(bytes.TrimSpace(option), "close") {
				return true
			}
		}
	}
	return false
}

// fieldsOf yields a header's lines as they came.
func fieldsOf(header *fasthttp.RequestHeader) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for line := range bytes.Lines(header.RawHeaders()) {
			name, value, _ := bytes.Cut(line, []byte{':'})
			if !yield(name, value) {
				return
			}
		}
	}
}

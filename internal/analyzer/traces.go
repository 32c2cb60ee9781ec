package analyzer

import (
	"iter"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/tracelist"
)

// traces returns the traceparents of a request's lines: the one of the header Traceparent for
// all, or those that the header Traceparents lists. of must be called with ascending numbers.
// It returns nil for a line without one.
func traces(r *fasthttp.Request) (of func(line int) []byte, stop func()) {
	if common := r.Header.Peek("Traceparent"); len(common) > 0 {
		return func(int) []byte { return common }, func() {}
	}
	list := r.Header.Peek(tracelist.Header)
	if len(list) == 0 {
		return func(int) []byte { return nil }, func() {}
	}
	next, stop := iter.Pull(tracelist.Parse(list))
	var lines tracelist.Lines
	more := true
	return func(line int) []byte {
		for more && lines.Last < line {
			lines, more = next()
		}
		if !more || line < lines.First {
			return nil
		}
		return lines.Traceparent
	}, stop
}

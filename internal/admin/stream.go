package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// heartbeat is the interval of comments in a stream of events without any, so that proxies
// keep it and dead clients are noticed.
const heartbeat = 15 * time.Second

// stream writes an answer as it comes. Each write has a deadline.
type stream struct {
	writer     io.Writer
	controller *http.ResponseController
	ctx        context.Context // ends with the request, and when the server stops
	err        error
}

func newStream(w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{writer: w, controller: http.NewResponseController(w), ctx: r.Context()}
	_ = s.controller.SetReadDeadline(time.Time{}) // that of the request
	s.flush()
	return s
}

// Write writes and flushes.
func (s *stream) Write(text []byte) (int, error) {
	_ = s.controller.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := s.writer.Write(text)
	if err == nil {
		err = s.controller.Flush()
	}
	s.err = err
	return n, err
}

func (s *stream) flush() {
	_ = s.controller.SetWriteDeadline(time.Now().Add(writeTimeout))
	s.err = s.controller.Flush()
}

// send writes a server-sent event; an empty id is none. It reports whether the stream goes on.
func (s *stream) send(event, id string, data any) bool {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // a defect: the guard reports it
	}
	return s.sendText(event, id, text)
}

// sendText writes a server-sent event whose data is encoded.
func (s *stream) sendText(event, id string, text []byte) bool {
	if id != "" {
		id = "id: " + id + "\n"
	}
	_, _ = fmt.Fprintf(s, "event: %s\n%sdata: %s\n\n", event, id, text)
	return s.goesOn()
}

// beat writes a comment.
func (s *stream) beat() bool {
	_, _ = s.Write([]byte(":\n\n"))
	return s.goesOn()
}

func (s *stream) goesOn() bool { return s.err == nil && s.ctx.Err() == nil }

// end tells the client why the stream ends, if it is there.
func (s *stream) end(reason string) {
	if s.err == nil {
		s.send("end", "", map[string]string{"reason": reason})
	}
}

// slots bounds the open streams of one kind.
type slots chan struct{}

// take takes a slot; release returns it.
func (s slots) take() (release func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	default:
		refused := refuse(tooManyStreams, "there are %d streams of this kind: there may be no more", cap(s))
		refused.retryAfter = 5
		return nil, refused
	}
}

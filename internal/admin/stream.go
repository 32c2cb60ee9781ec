package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
)

// heartbeat is the interval of comments in a stream without events, which keep proxies from closing
// the stream and detect dead clients.
const heartbeat = 15 * time.Second

// stream writes a response as it comes. Each write has a deadline.
type stream struct {
	writer     io.Writer
	controller *http.ResponseController
	ctx        context.Context // ends when the request ends or the server stops
	added      []byte          // events that are not written yet
	err        error
}

func newStream(w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{writer: w, controller: http.NewResponseController(w), ctx: r.Context()}
	// Without chunks net/http passes what is larger than its buffers on in one write; a chunk takes three.
	// The end of such a response is that of its connection.
	w.Header().Set("Transfer-Encoding", "identity")
	_ = s.controller.SetReadDeadline(time.Time{}) // the context of the request
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

// send writes a server-sent event; an empty id is none. It reports whether the stream continues.
func (s *stream) send(event, id string, data any) bool {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // a defect, which the guard reports
	}
	return s.sendText(event, id, text)
}

// sendText writes a server-sent event whose data is encoded.
func (s *stream) sendText(event, id string, text []byte) bool {
	s.add(event, id, text)
	return s.sendAdded()
}

// add adds a server-sent event to those of the next write, which is most of what a viewer costs.
func (s *stream) add(event, id string, text []byte) {
	s.added = append(append(append(s.added, "event: "...), event...), '\n')
	if id != "" {
		s.added = append(append(append(s.added, "id: "...), id...), '\n')
	}
	s.added = append(append(append(s.added, "data: "...), text...), "\n\n"...)
}

// sendAdded writes the events that were added.
func (s *stream) sendAdded() bool {
	_, _ = s.Write(s.added)
	s.added = s.added[:0]
	return s.continues()
}

// sendHeartbeat writes a comment.
func (s *stream) sendHeartbeat() bool {
	_, _ = s.Write([]byte(":\n\n"))
	return s.continues()
}

func (s *stream) continues() bool { return s.err == nil && s.ctx.Err() == nil }

// end reports to the client, if it is still connected, why the stream ends.
func (s *stream) end(reason string) {
	if s.err == nil {
		s.send("end", "", adminapi.StreamEnd{Reason: reason})
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

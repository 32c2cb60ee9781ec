package httpsink

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// Once a request has its response, nothing reads its body, which the next one overwrites.
func TestEndedBodyIsNotRead(t *testing.T) {
	body := &sentBody{text: []byte("text")}
	first, second := body.reader(), body.reader()
	half := make([]byte, 2)
	if n, err := first.Read(half); n != 2 || err != nil || string(half) != "te" {
		t.Fatal(n, err)
	}
	if all, err := io.ReadAll(second); string(all) != "text" || err != nil {
		t.Fatal(all, err)
	}
	body.end()
	if n, err := first.Read(half); n != 0 || !errors.Is(err, errEnded) {
		t.Error(n, err)
	}
}

type largeCodec struct{}

func (largeCodec) Encode(r *Request, _ []*packet.Packet) {
	r.Body = append(r.Body, strings.Repeat("x", maxKeptBytes+1)...)
}

func (largeCodec) Result(r *Response, _ []*packet.Packet) sink.Result { return r.Result() }

// A backend may answer before it has read the request, and large buffers are not kept.
func TestEarlyAnswer(t *testing.T) {
	serve := func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		reader := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.Copy(io.Discard, r.Body)
		}
	}
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go serve(far)
		return near, nil
	}
	s := New(&url.URL{Scheme: "http", Host: "one"}, Backend{Path: "/", NewCodec: func() Codec { return largeCodec{} }}, Dependencies{Dial: dial, Logger: slog.New(slog.DiscardHandler)})
	c := s.newConn()
	defer c.Close()
	for range 2 {
		got := c.Send(t.Context(), []*packet.Packet{{}}, time.Now().Add(time.Minute))
		if got.Outcome != sink.Rejected || got.Reason != sink.TooLarge {
			t.Errorf("%+v", got)
		}
		if c.request.Body != nil {
			t.Error("the buffer is kept")
		}
	}
}

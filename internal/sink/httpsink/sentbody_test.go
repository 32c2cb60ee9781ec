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
	"testing/synctest"
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

// A body is written without a copy, and not any more once the request is over.
func TestBodyIsWrittenAsItIs(t *testing.T) {
	body := &sentBody{text: []byte("a text")}
	var conn writes
	limited := &io.LimitedReader{R: body.reader(), N: 4}
	if n, err := (bodyConn{&conn}).ReadFrom(limited); n != 4 || err != nil || limited.N != 0 {
		t.Fatal(n, err)
	}
	if len(conn.texts) != 1 || string(conn.texts[0]) != "a te" || &conn.texts[0][0] != &body.text[0] {
		t.Errorf("%q is written", conn.texts)
	}
	if n, err := (bodyConn{&conn}).ReadFrom(strings.NewReader("other")); n != 5 || err != nil {
		t.Error(n, err)
	}
	body.end()
	if n, err := (bodyConn{&conn}).ReadFrom(&io.LimitedReader{R: body.reader(), N: 4}); n != 0 || !errors.Is(err, errEnded) {
		t.Error(n, err)
	}
}

// writes is a connection that keeps what is written.
type writes struct {
	net.Conn
	texts [][]byte
}

func (w *writes) Write(text []byte) (int, error) {
	w.texts = append(w.texts, text)
	return len(text), nil
}

// A backend that answers early and reads no more holds no sender up.
func TestEarlyResponseWithoutReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				_, _ = http.ReadRequest(bufio.NewReader(far))
				_, _ = io.WriteString(far, "HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
			}()
			return near, nil
		}
		s := New(&url.URL{Scheme: "http", Host: "one"}, Backend{Path: "/", NewCodec: func() Codec { return largeCodec{} }}, Dependencies{Dial: dial, Logger: slog.New(slog.DiscardHandler)})
		c := s.newConn()
		defer c.Close()
		begin := time.Now()
		if got := c.Send(t.Context(), []*packet.Packet{{}}, begin.Add(time.Minute)); got.Outcome != sink.Rejected {
			t.Errorf("%+v", got)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the sender waited %v", took)
		}
	})
}

type largeCodec struct{}

func (largeCodec) Encode(r *Request, _ []*packet.Packet) {
	r.Body = append(r.Body, strings.Repeat("x", maxKeptBytes+1)...)
}

func (largeCodec) Result(r *Response, _ []*packet.Packet) sink.Result { return r.Result() }

// A backend may answer before it has read the request, and large buffers are not kept.
func TestEarlyResponse(t *testing.T) {
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

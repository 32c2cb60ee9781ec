package adminclient

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestEventReader(t *testing.T) {
	stream := "\n: a comment\n\nid: b-1\nevent: snapshot\ndata: {\"a\":\ndata:1}\r\n\r\n" +
		"retry: 2000\ndata\n\nid: b-2\n\nevent: end\rdata: x: y\r\rretry: no\nid: \x00\nunknown: 1\ndata:  two\n\ndata: unfinished\n"
	want := []Event{
		{ID: "b-1", Type: "snapshot", Data: []byte("{\"a\":\n1}")},
		{ID: "b-1", Type: "message"},
		{ID: "b-2", Type: "end", Data: []byte("x: y")},
		{ID: "b-2", Type: "message", Data: []byte(" two")},
	}
	for name, source := range map[string]io.Reader{
		"whole": strings.NewReader(stream), "by byte": iotest.OneByteReader(strings.NewReader(stream)),
	} {
		reader := newEventReader(source, "")
		for _, w := range want {
			got, err := reader.next()
			if err != nil || got.ID != w.ID || got.Type != w.Type || !bytes.Equal(got.Data, w.Data) {
				t.Errorf("%s: %+v %q, %v; want %+v", name, got, got.Data, err, w)
			}
		}
		if _, err := reader.next(); !errors.Is(err, io.EOF) || reader.retry != 2*time.Second {
			t.Errorf("%s: %v, %v", name, err, reader.retry)
		}
	}
}

func TestEventsAreBounded(t *testing.T) {
	line := "data: " + strings.Repeat("x", 1<<20) + "\n"
	if _, err := newEventReader(strings.NewReader(strings.Repeat(line, 9)+"\n"), "").next(); err == nil || errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// script answers requests one after the other; the last one ends the context.
type script struct {
	t         *testing.T
	responses []func(*http.Request) (*http.Response, error)
	lastIDs   []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.lastIDs = append(s.lastIDs, r.Header.Get("Last-Event-ID"))
	next := s.responses[0]
	s.responses = s.responses[1:]
	return next(r)
}

func stream(status int, text string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text))}, nil
	}
}

// silent sends the text and then nothing until the request is canceled.
func silent(text string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		out, in := io.Pipe()
		go func() {
			_, _ = io.WriteString(in, text)
			<-r.Context().Done()
			in.CloseWithError(r.Context().Err())
		}()
		return &http.Response{StatusCode: 200, Body: out}, nil
	}
}

// journal records what a follower gets.
type journal struct {
	lines []string
	end   func(Event) error
}

func (j *journal) Connected() { j.lines = append(j.lines, "connected") }

func (j *journal) Receive(e Event) error {
	j.lines = append(j.lines, fmt.Sprintf("%s %s %s", e.ID, e.Type, e.Data))
	if j.end != nil {
		return j.end(e)
	}
	return nil
}

func (j *journal) Disconnected(err error, retry time.Duration) error {
	j.lines = append(j.lines, fmt.Sprintf("disconnected: %v", err))
	if retry < firstRetry || retry > refusedRetry*3/2 {
		j.lines = append(j.lines, "retry in "+retry.String())
	}
	return nil
}

// follow follows a script in synthetic time and returns the record and the time it took.
func follow(t *testing.T, s *script, j *journal, idle time.Duration) (took time.Duration, err error) {
	t.Helper()
	c := newClient(t, DefaultConfig())
	c.http.Transport = s
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.responses = append(s.responses, func(*http.Request) (*http.Response, error) {
		cancel()
		return nil, errors.New("the end")
	})
	start := time.Now()
	err = c.Follow(ctx, Stream{Path: "/v1/stream", Idle: idle}, j)
	return time.Since(start), err
}

// A stream continues where it ended; after a restart the server sends a reset.
func TestFollowReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, responses: []func(*http.Request) (*http.Response, error){
			stream(200, "id: b1-1\ndata: one\n\n"),
			func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
			stream(503, `{"detail":"shutting down","code":"draining"}`),
			stream(200, "id: b2-1\nevent: reset\ndata: {}\n\n"),
		}}
		j := &journal{}
		_, err := follow(t, s, j, 0)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		want := []string{
			"connected", "b1-1 message one", "disconnected: no answer from http://127.0.0.1:8081: EOF",
			"disconnected: no answer from http://127.0.0.1:8081: connection refused", "disconnected: shutting down (draining)",
			"connected", "b2-1 reset {}", "disconnected: no answer from http://127.0.0.1:8081: EOF",
		}
		if !slices.Equal(j.lines, want) {
			t.Errorf("%q", j.lines)
		}
		if want := []string{"", "b1-1", "b1-1", "b1-1", "b2-1"}; !slices.Equal(s.lastIDs, want) {
			t.Errorf("%q, want %q", s.lastIDs, want)
		}
	})
}

// A connection without a byte for too long is given up; comments keep it.
func TestFollowIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, responses: []func(*http.Request) (*http.Response, error){silent(": alive\n\ndata: 1\n\n")}}
		j := &journal{}
		took, _ := follow(t, s, j, 10*time.Second)
		if len(j.lines) != 3 || !strings.Contains(j.lines[2], "nothing was received for 10s") || took < 10*time.Second {
			t.Errorf("%q, %v", j.lines, took)
		}
	})
}

// Refused credentials are tried rarely, for the server counts them.
func TestFollowUnauthorized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, responses: []func(*http.Request) (*http.Response, error){stream(401, `{"code":"unauthorized"}`)}}
		if took, _ := follow(t, s, &journal{}, 0); took < refusedRetry {
			t.Error(took)
		}
	})
}

// Delays grow to a bound, and start again after an event; the server may ask for longer ones.
func TestFollowDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails []func(*http.Request) (*http.Response, error)
		for range 10 {
			fails = append(fails, stream(500, ""))
		}
		took, _ := follow(t, &script{t: t, responses: fails}, &journal{}, 0)
		if least := firstRetry + 2*firstRetry + 4*firstRetry + 8*firstRetry + 6*maxRetry; took < least || took > least*3/2+time.Second {
			t.Error(took, least)
		}
		took, _ = follow(t, &script{t: t, responses: fails[:0]}, &journal{}, 0)
		if took != 0 {
			t.Error(took)
		}
		took, _ = follow(t, &script{t: t, responses: []func(*http.Request) (*http.Response, error){stream(200, "retry: 7000\ndata: 1\n\n")}}, &journal{}, 0)
		if took < 7*time.Second {
			t.Error(took)
		}
	})
}

// A follower ends it with its own error.
func TestFollowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("enough")
		s := &script{t: t, responses: []func(*http.Request) (*http.Response, error){silent("data: 1\n\n")}}
		if _, err := follow(t, s, &journal{end: func(Event) error { return enough }}, 0); !errors.Is(err, enough) {
			t.Error(err)
		}
	})
}

// eventsOf returns the events of a stream as section 9.2.6 of the HTML standard parses them, with the
// last id and reconnection time.
func eventsOf(stream string) (events []Event, id string, retry time.Duration) {
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(stream, "\ufeff")), "\n")
	var data, kind string
	for _, line := range lines[:len(lines)-1] { // the last one is not ended
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && data != "":
			events = append(events, Event{id, cmp.Or(kind, "message"), []byte(strings.TrimSuffix(data, "\n"))})
			fallthrough
		case line == "":
			data, kind = "", ""
		case field == "event":
			kind = value
		case field == "data":
			data += value + "\n"
		case field == "id" && !strings.Contains(value, "\x00"):
			id = value
		case field == "retry" && value != "" && strings.Trim(value, "0123456789") == "" && len(value) < 10:
			ms, _ := strconv.Atoi(value)
			retry = time.Duration(ms) * time.Millisecond
		}
	}
	return events, id, retry
}

// FuzzEvents compares with a parser that is written after the standard, however the stream is divided.
func FuzzEvents(f *testing.F) {
	f.Add("\n: a comment\n\nid: b-1\nevent: snapshot\ndata: {\"a\":\ndata:1}\r\n\r\nretry: 2000\ndata\n\nid\n\nevent: end\rdata: x: y\r\rdata: unfinished\n", uint8(1))
	f.Add("event:\ndata: x\n\n", uint8(2))
	f.Add("\ufeffdata: x\n\n\ufeffdata: y\n\n", uint8(3))
	f.Add("data: x\r\n\r", uint8(8))
	f.Fuzz(func(t *testing.T, stream string, size uint8) {
		want, id, retry := eventsOf(stream)
		reader := newEventReader(pieces{strings.NewReader(stream), int(size) + 1}, "")
		for _, w := range want {
			got, err := reader.next()
			if err != nil || got.ID != w.ID || got.Type != w.Type || !bytes.Equal(got.Data, w.Data) {
				t.Fatalf("%q: %+v %q, %v; want %+v %q", stream, got, got.Data, err, w, w.Data)
			}
		}
		if got, err := reader.next(); !errors.Is(err, io.EOF) || reader.id != id || reader.retry != retry {
			t.Fatalf("%q: %+v, %v, id %q, %v; want id %q, %v", stream, got, err, reader.id, reader.retry, id, retry)
		}
	})
}

// pieces reads at most so many bytes at a time.
type pieces struct {
	io.Reader
	size int
}

func (p pieces) Read(to []byte) (int, error) { return p.Reader.Read(to[:min(len(to), p.size)]) }

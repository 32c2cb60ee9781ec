package httpsinktest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
)

// Rich is a packet with escapes, extras, names that occur twice or are those of other
// fields, and times in milliseconds and nanoseconds.
const Rich = `{"emitter_id":"shop/web-1","packet_id":"p","resource":{"attributes":{"service.name":"shop","host.name":"web-1","a":"9"},"schema_url":"https://r"},` +
	`"scopes":[{"name":"s","version":"1","attributes":{"x":"true"},"types":{"x":"b"},"schema_url":"https://s"}],"messages":[` +
	`{"timestamp":1640995200123,"level":"INFO","message":"first \"line\"\n","metadata":{"time_unix_nano":"1640995200123456789","a":"1","a":"2","level":"x","trace_id":"0102","n":"7","z":null},"types":{"n":"i"},"scope":0},` +
	`{"timestamp":1640995200123,"level":"odd","message":"second \ud800","metadata":{"time_unix_nano":"0"}}]}`

// Expected is the result of a request for a response.
type Expected struct {
	Outcome sink.Outcome
	Reason  string
}

// Responses checks the results of requests with one packet, by responses that are a status,
// and a body after a space.
func Responses(t *testing.T, url string, read func(*httpsink.Options) httpsink.Backend, expected map[string]Expected) {
	t.Helper()
	for text, want := range expected {
		synctest.Test(t, func(t *testing.T) {
			var status int
			head, body, _ := strings.Cut(text, " ")
			if _, err := fmt.Sscan(head, &status); err != nil {
				t.Fatal(err)
			}
			header := ""
			if first, rest, found := strings.Cut(body, "\r\n"); found {
				header, body = first+"\r\n", rest
			}
			server := NewServer(Always(Response{Status: status, Header: header, Body: body}))
			got := Send(t, Open(t, server, url, read), Packet(t, Rich))
			if got.Outcome != want.Outcome || got.Reason != want.Reason || len(got.Exceptions) > 0 {
				t.Errorf("%s: %+v, want %+v", text, got, want)
			}
			if requests := server.Requests(); len(requests) != 1 {
				t.Errorf("%s: %d requests", text, len(requests))
			}
		})
	}
}

// Probes checks the request of a probe, and that only 2xx is healthy.
func Probes(t *testing.T, url string, read func(*httpsink.Options) httpsink.Backend, method, path string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := NewServer(nil)
		s := Open(t, server, url, read)
		for status, want := range map[int]sink.Outcome{200: sink.Delivered, 401: sink.Failed, 503: sink.Failed} {
			server.SetProbe(Response{Status: status})
			if got := s.Probe(t.Context(), time.Now().Add(Timeout)); got.Outcome != want {
				t.Errorf("%d: %+v", status, got)
			}
		}
		if got := server.Probes()[0]; got.Method != method || got.Path != path {
			t.Errorf("the probe is %s %s, want %s %s", got.Method, got.Path, method, path)
		}
	})
}

// Repeats checks that a request that may have been received is the same when it is sent
// again, over another connection and later.
func Repeats(t *testing.T, url string, read func(*httpsink.Options) httpsink.Backend) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := NewServer(Always(Response{Hang: true}))
		s := Open(t, server, url, read)
		packets := []*packet.Packet{Packet(t, Rich), Packet(t, strings.Replace(Rich, `"p"`, `"q"`, 1))}
		for range 3 {
			if got := Send(t, s, packets...); got.Outcome != sink.Failed || got.Reason != sink.Timeout || !got.Repeat {
				t.Errorf("%+v", got)
			}
			time.Sleep(time.Minute)
		}
		requests := server.Requests()
		for _, r := range requests {
			if r.Body != requests[0].Body || r.Query != requests[0].Query {
				t.Errorf("%+v\nwas\n%+v", r, requests[0])
			}
		}
		other := Send(t, s, packets[0])
		if requests = server.Requests(); other.Outcome != sink.Failed || requests[3].Body == requests[0].Body {
			t.Error("another batch is the same request")
		}
	})
}

// Benchmark measures the encoding of a packet of 500 messages with resource and types.
func Benchmark(b *testing.B, read func(*httpsink.Options) httpsink.Backend) {
	const messages = 500
	var text strings.Builder
	text.WriteString(`{"emitter_id":"shop/web-1","packet_id":"otlp-0123456789abcdef-1","resource":{"attributes":{"service.name":"shop","host.name":"web-1"}},"messages":[`)
	for i := range messages {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"timestamp":%d,"level":"INFO","message":"request %d handled in 12 ms","metadata":{"service.name":"shop","region":"eu-west-1","status":"200","trace_id":"0102030405060708090a0b0c0d0e0f10"},"types":{"status":"i"}}`, 1640995200000+i, i)
	}
	text.WriteString(`]}`)
	p := Packet(b, text.String())
	endpoint := sink.Endpoint{Kind: sink.Elasticsearch, Base: &url.URL{}}
	backend, err := httpsink.Parse(endpoint, read)
	if err != nil {
		b.Fatal(err)
	}
	codec, packets := backend.NewCodec(), []*packet.Packet{p}
	var r httpsink.Request
	b.SetBytes(int64(len(p.Body)))
	b.ReportAllocs()
	for b.Loop() {
		r.Body, r.Query = r.Body[:0], r.Query[:0]
		codec.Encode(&r, packets)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/messages, "ns/record")
}

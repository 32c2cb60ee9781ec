package httpsink_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink/httpsinktest"
)

// plain is a backend that gets the bodies of packets, one a line.
func plain(o *httpsink.Options) httpsink.Backend {
	return httpsink.Backend{
		Path: "/push?a=b", ContentType: "text/plain", Header: http.Header{"X-Tenant": {o.Text("tenant", "t")}},
		Probe:    httpsink.Probe{Method: http.MethodPost, Path: "/healthy"},
		NewCodec: func() httpsink.Codec { return codec{} },
	}
}

type codec struct{}

func (codec) Encode(r *httpsink.Request, packets []*packet.Packet) {
	for _, p := range packets {
		r.Body = append(append(r.Body, p.Body...), '\n')
	}
	r.Query = append(r.Query, "n="...)
	r.Query = fmt.Append(r.Query, len(packets))
}

func (codec) Result(r *httpsink.Response, _ []*packet.Packet) sink.Result { return r.Result() }

const base = "es+http://one:9200/base/"

func some(t testing.TB, number int) *packet.Packet {
	return httpsinktest.Packet(t, strings.Replace(`{"emitter_id":"e","packet_id":"0","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, "0", fmt.Sprint(number), 1))
}

func TestSink(t *testing.T) {
	for _, options := range []string{"", "?gzip=on"} {
		httpsinktest.Conform(t, base+options, plain, httpsinktest.Always(httpsinktest.Response{}), func(r httpsinktest.Request) (ids []string) {
			for line := range strings.Lines(r.Body) {
				_, rest, _ := strings.Cut(line, `"packet_id":"`)
				id, _, _ := strings.Cut(rest, `"`)
				ids = append(ids, id)
			}
			return ids
		})
	}
}

// A deferred packet is complete when it is encoded, unless the backend takes origins.
func TestDeferredPackets(t *testing.T) {
	for _, origins := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			server := httpsinktest.NewServer(httpsinktest.Always(httpsinktest.Response{}))
			s := httpsinktest.Open(t, server, base, func(o *httpsink.Options) httpsink.Backend {
				b := plain(o)
				b.Origins = origins
				return b
			})
			p := new(packet.Pool).New([]byte("ids"), packet.Info{})
			p.Defer(len("whole"), func(_, into *packet.Packet) { into.Body = append(into.Body, "whole"...) })
			httpsinktest.Send(t, s, p)
			if got := server.Requests()[0].Body; got != map[bool]string{false: "whole\n", true: "ids\n"}[origins] {
				t.Errorf("with origins %t the backend gets %q", origins, got)
			}
		})
	}
}

// What each response means for a request, and whether a retry must be the same.
func TestResponses(t *testing.T) {
	type response = httpsinktest.Response
	for _, test := range []struct {
		response response
		outcome  sink.Outcome
		reason   string
		pause    time.Duration
	}{
		{response{Status: 200}, sink.Delivered, "", 0},
		{response{Status: 204}, sink.Delivered, "", 0},
		{response{Status: 400}, sink.Rejected, sink.Malformed, 0},
		{response{Status: 413}, sink.Rejected, sink.TooLarge, 0},
		{response{Status: 422}, sink.Rejected, sink.InvalidPacket, 0},
		{response{Status: 301, Header: "Location: http://two/\r\n"}, sink.Failed, sink.Misconfigured, 0},
		{response{Status: 401}, sink.Failed, sink.Misconfigured, 0},
		{response{Status: 403}, sink.Failed, sink.Misconfigured, 0},
		{response{Status: 404}, sink.Failed, sink.Misconfigured, 0},
		{response{Status: 415}, sink.Failed, sink.Misconfigured, 0},
		{response{Status: 408}, sink.Failed, sink.Status, 0},
		{response{Status: 429}, sink.Throttled, sink.NotNow, time.Second},
		{response{Status: 429, Header: "Retry-After: 7\r\n"}, sink.Throttled, sink.NotNow, 7 * time.Second},
		{response{Status: 503, Header: "Retry-After: 3\r\n"}, sink.Throttled, sink.NotNow, 3 * time.Second},
		{response{Status: 504, Header: "Retry-After: 3\r\n"}, sink.Throttled, sink.NotNow, 3 * time.Second},
		{response{Status: 500}, sink.Failed, sink.Status, 0},
		{response{Status: 502}, sink.Failed, sink.Status, 0},
		{response{Status: 503}, sink.Failed, sink.Status, 0},
		{response{Status: 504}, sink.Failed, sink.Status, 0},
		{response{Close: true}, sink.Failed, sink.Reset, 0},
		{response{Hang: true}, sink.Failed, sink.Timeout, 0},
		{response{Header: "\x00\r\n"}, sink.Failed, sink.Unreadable, 0},
		{response{Body: strings.Repeat("x", 5<<20)}, sink.Failed, sink.Unreadable, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := httpsinktest.NewServer(httpsinktest.Always(test.response))
			got := httpsinktest.Send(t, httpsinktest.Open(t, server, base, plain), some(t, 1))
			what := fmt.Sprintf("%d %s%v%v", test.response.Status, test.response.Header, test.response.Close, test.response.Hang)
			if got.Outcome != test.outcome || got.Reason != test.reason || got.Pause != test.pause {
				t.Errorf("%s: %+v", what, got)
			}
			misconfigured := test.reason == sink.Misconfigured
			if got.Unsent != misconfigured || got.Repeat != (test.outcome == sink.Failed && !misconfigured) {
				t.Errorf("%s: unsent %v, to be repeated %v", what, got.Unsent, got.Repeat)
			}
			if requests := server.Requests(); len(requests) != 1 {
				t.Errorf("%s: %d requests", what, len(requests))
			}
		})
	}
}

func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := httpsinktest.NewServer(httpsinktest.Always(httpsinktest.Response{}))
		endpoint, err := sink.ParseURL(base + "?gzip=on&tenant=x&token_file=/f")
		if err != nil {
			t.Fatal(err)
		}
		backend, err := httpsink.Parse(endpoint, plain)
		if err != nil || backend.TokenFile() != "/f" {
			t.Fatal(backend.TokenFile(), err)
		}
		token := "Bearer one"
		s := httpsink.New(endpoint.Base, backend, httpsink.Dependencies{Dial: server.Dial, Authorization: func() string { return token }, Logger: slog.New(slog.DiscardHandler)})
		first, second := some(t, 1), some(t, 2)
		first.Traceparent, second.Traceparent = "00-x", "00-x"
		conn := s.NewConn()
		defer conn.Close()
		for range 2 {
			if r := conn.Send(t.Context(), []*packet.Packet{first, second}, time.Now().Add(time.Second)); r.Outcome != sink.Delivered {
				t.Fatal(r)
			}
			token = "Bearer two"
		}
		requests := server.Requests()
		r := requests[0]
		if r.Path != "/base/push" || r.Query != "a=b&n=2" || r.Body != string(first.Body)+"\n"+string(second.Body)+"\n" {
			t.Errorf("%+v", r)
		}
		for name, want := range map[string]string{
			"Content-Type": "text/plain", "Content-Encoding": "gzip", "Authorization": "Bearer one", "X-Tenant": "x", "Traceparent": "00-x", "User-Agent": "logstreamer",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if got := requests[1].Header.Get("Authorization"); got != "Bearer two" || requests[1].Body != r.Body {
			t.Errorf("the second request has %q", got)
		}
	})
}

func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := httpsinktest.NewServer(nil)
		s := httpsinktest.Open(t, server, base, plain)
		for _, test := range []struct {
			status  int
			outcome sink.Outcome
			reason  string
		}{{200, sink.Delivered, ""}, {401, sink.Failed, sink.Status}, {503, sink.Failed, sink.Status}, {0, sink.Failed, sink.Timeout}} {
			server.SetProbe(httpsinktest.Response{Status: test.status, Hang: test.status == 0})
			if got := s.Probe(t.Context(), time.Now().Add(time.Second)); got.Outcome != test.outcome || got.Reason != test.reason {
				t.Errorf("%d: %+v", test.status, got)
			}
		}
		probed := server.Probes()[0]
		if probed.Method != "POST" || probed.Path != "/base/healthy" || probed.Header.Get("X-Tenant") != "t" {
			t.Errorf("%+v", probed)
		}
	})
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	s := httpsink.New(address, plainBackend(t), httpsink.Dependencies{
		TLS:    func(host string) *tls.Config { return &tls.Config{RootCAs: trusted, ServerName: host} },
		Logger: slog.New(slog.DiscardHandler),
	})
	if r := httpsinktest.Send(t, s, some(t, 1)); r.Outcome != sink.Failed || r.Reason != sink.Connect || !r.Unsent {
		t.Errorf("a server that is not trusted: %+v", r)
	}
	trusted.AddCert(server.Certificate())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn := s.NewConn()
	defer conn.Close()
	for range 2 {
		if r := conn.Send(ctx, []*packet.Packet{some(t, 1)}, time.Now().Add(time.Minute)); r.Outcome != sink.Delivered {
			t.Errorf("%+v", r)
		}
	}
}

func plainBackend(t testing.TB) httpsink.Backend {
	t.Helper()
	endpoint, err := sink.ParseURL(base)
	if err != nil {
		t.Fatal(err)
	}
	b, err := httpsink.Parse(endpoint, plain)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A kept connection that the backend closed in between costs no failure.
func TestClosedIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := httpsinktest.NewServer(httpsinktest.Always(httpsinktest.Response{Header: "Connection: close\r\n"}))
		conn := httpsinktest.Open(t, server, base, plain).NewConn()
		defer conn.Close()
		for range 3 {
			if r := conn.Send(t.Context(), []*packet.Packet{some(t, 1)}, time.Now().Add(time.Second)); r.Outcome != sink.Delivered {
				t.Fatalf("%+v", r)
			}
			synctest.Wait()
		}
	})
}

func TestOptionErrors(t *testing.T) {
	for options, want := range map[string]string{
		"gzip=1":                  `the option "gzip" is "1": it must be one of off, on`,
		"gzip=on&gzip=on":         `the option "gzip" occurs 2 times`,
		"tenant=":                 `the option "tenant" is empty`,
		"token=secret":            `there is no option "token": there are gzip, tenant, token_file`,
		"tokenfile=secret&gzip=x": "there is no option",
	} {
		endpoint, err := sink.ParseURL(base + "?" + options)
		if err != nil {
			t.Fatal(err)
		}
		_, err = httpsink.Parse(endpoint, plain)
		if err == nil || !strings.HasPrefix(err.Error(), "ANALYZERS: es+http://one:9200/base/: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", options, err)
		}
	}
}

func TestAuthorization(t *testing.T) {
	for content, want := range map[string]string{
		"abc\n": "Scheme abc", " abc.d-e_f~g+/= \r\n": "Scheme abc.d-e_f~g+/=", "ApiKey abc==": "ApiKey abc==", "user:pass word\n": "Basic dXNlcjpwYXNzIHdvcmQ=",
		"user:": "Basic dXNlcjo=", "": "", "\n": "", "secret\nsecret": "", "secr\xe9t": "",
	} {
		got, err := httpsink.Authorization([]byte(content), "Scheme")
		if got != want || (err == nil) != (want != "") || err != nil && bytes.Contains([]byte(err.Error()), []byte("secr")) {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
}

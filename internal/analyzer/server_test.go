package analyzer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestHealthAdvertisesNDJSON(t *testing.T) {
	a := started(t, nil)

	got := send(t, a, "GET", "/health", nil)

	if want := `{"status":"healthy","analyzer":"analyzer-1"}`; got.status != 200 || string(got.body) != want {
		t.Errorf("%d %s, want %s", got.status, got.body, want)
	}
	if got.header.Get("Accept-Post") != "application/x-ndjson" {
		t.Errorf("Accept-Post is %q", got.header.Get("Accept-Post"))
	}
}

func TestStatsAndMetricsAgree(t *testing.T) {
	a := started(t, nil)
	post(t, a, packetJSON("p-1", 3))
	post(t, a, packetJSON("p-1", 3))
	post(t, a, "broken")
	post(t, a, packetJSON("p-2", 1), "Content-Type", "application/x-ndjson")

	var stats Stats
	if err := json.Unmarshal(send(t, a, "GET", "/stats", nil).body, &stats); err != nil {
		t.Fatal(err)
	}
	if stats.Analyzer != "analyzer-1" || stats.Packets != 2 || stats.Messages != 4 || stats.Duplicates != 1 || stats.Refused["malformed"] != 1 {
		t.Errorf("stats %+v", stats)
	}
	metrics := string(send(t, a, "GET", "/metrics", nil).body)
	for _, line := range []string{
		"analyzer_packets_total 2",
		"analyzer_messages_total 4",
		"analyzer_duplicate_packets_total 1",
		`analyzer_messages_by_level_total{level="INFO"} 3`,
		`analyzer_messages_by_level_total{level="UNKNOWN"} 0`,
		`analyzer_messages_by_service_total{service="service-0"} 2`,
		`analyzer_refused_packets_total{reason="malformed"} 1`,
		`analyzer_refused_packets_total{reason="too_large"} 0`,
		`analyzer_requests_total{kind="single"} 3`,
		`analyzer_requests_total{kind="ndjson"} 1`,
		"analyzer_processing_seconds_count 2",
		"go_goroutines ",
		"process_cpu_seconds_total ",
	} {
		if !strings.Contains(metrics, "\n"+line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	problems, err := promlint.New(strings.NewReader(metrics)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
}

// exchange writes raw bytes and returns the status of the first response.
func exchange(t *testing.T, a *Analyzer, request string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	responses := bufio.NewReader(conn)
	response, err := http.ReadResponse(responses, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, _ := io.ReadAll(response.Body)
	if rest, _ := io.ReadAll(responses); len(rest) > 0 {
		t.Errorf("after the response came %q", rest)
	}
	return response.StatusCode, string(content)
}

func TestBrokenHTTPIsRefused(t *testing.T) {
	a := started(t, nil)
	for name, c := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"not HTTP":     {"\x16\x03\x01\x02\x00\r\n\r\n", 400, "malformed"},
		"large header": {"POST /ingest HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", maxHeaderBytes) + "\r\n\r\n", 431, "too_large"},
		"body cut off": {"POST /ingest HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{", 400, "malformed"},
		"huge length":  {"POST /ingest HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{", 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := exchange(t, a, c.request)
			if status != c.status || !strings.Contains(body, `"code":"`+c.code+`"`) {
				t.Errorf("%d %s, want %d %s", status, body, c.status, c.code)
			}
		})
	}
}

func TestSlowRequestGets408(t *testing.T) {
	a := newAnalyzer(t, nil)
	defer a.Stop(t.Context())
	var ctx fasthttp.RequestCtx

	a.handleReadError(&ctx, &net.OpError{Err: context.DeadlineExceeded})

	if ctx.Response.StatusCode() != 408 || !strings.Contains(string(ctx.Response.Body()), "slow_request") {
		t.Errorf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
}

func TestStopWaitsForInFlightPacket(t *testing.T) {
	a, release := newStuckAnalyzer(t)
	response := sendTwice(t, a)
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(t.Context()) }()
	for { // until the stop has begun
		conn, err := net.Dial("tcp", a.Addr())
		if err != nil {
			break
		}
		conn.Close()
	}
	release()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if got := <-response; got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := a.Stats().Packets; got != 1 {
		t.Errorf("%d packets processed, want 1", got)
	}
	if err := a.Stop(t.Context()); err != nil {
		t.Errorf("stopped again: %v", err)
	}
}

func TestStopAbortsAtDeadline(t *testing.T) {
	a := newAnalyzer(t, func(c *Config) { c.ProcessingDelay = time.Minute })
	a.Start()
	response := sendTwice(t, a)
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	if err := a.Stop(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if got := <-response; got.status != 0 {
		t.Errorf("the sender got %d", got.status)
	}
	if got := a.Stats().Packets; got != 0 {
		t.Errorf("%d packets processed, want 0", got)
	}
}

// newStuckAnalyzer starts an analyzer that processes no packet to its end until it is released.
func newStuckAnalyzer(t *testing.T) (a *Analyzer, release func()) {
	t.Helper()
	a = newAnalyzer(t, nil)
	gate := make(chan struct{})
	a.processed = func(packet.Info, []byte) { <-gate }
	a.Start()
	return a, func() { close(gate) }
}

// sendTwice sends a packet in two requests and returns when one is answered,
// which must be as a duplicate: then the other is being processed. Its response
// comes on the channel, with status 0 for none.
func sendTwice(t *testing.T, a *Analyzer) <-chan response {
	t.Helper()
	responses := make(chan response, 2)
	for range 2 {
		go func() {
			resp, err := http.Post("http://"+a.Addr()+"/ingest", "", strings.NewReader(packetJSON("p", 1)))
			if err != nil {
				responses <- response{}
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			responses <- response{status: resp.StatusCode, body: body}
		}()
	}
	if first := <-responses; first.json(t)["duplicate"] != true {
		t.Errorf("the packet was processed twice: %s", first.body)
	}
	return responses
}

func TestStopWithoutStartFreesTheAddress(t *testing.T) {
	a := newAnalyzer(t, nil)
	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	a.Start()
	listener, err := net.Listen("tcp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

func TestEachPacketIsDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnalyzer(t, func(c *Config) { c.ProcessingDelay = 20 * time.Millisecond })
		defer a.Stop(t.Context())
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetContentType(typeNDJSON)
		ctx.Request.SetBodyString(packetJSON("p-1", 1) + "\n" + packetJSON("p-2", 1) + "\n" + packetJSON("p-2", 1))
		begin := time.Now()

		a.ingest(&ctx)

		if took := time.Since(begin); took != 40*time.Millisecond {
			t.Errorf("two packets and a duplicate took %v, want 40ms", took)
		}
	})
}

package emitter

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// scriptedTarget is a target with scripted responses that records the packets
// it receives.
type scriptedTarget struct {
	*httptest.Server

	mu sync.Mutex
	// tries counts the requests of each packet id; guarded by mu.
	tries map[string]int
	// taken holds the number of messages of the packets that were answered with
	// 202, by id; guarded by mu.
	taken map[string]int
}

// A response is given as an HTTP status; 0 closes the connection, and hang
// never responds.
const hang = -1

// serve starts a target that responds to the n-th request (from 1) for a packet
// with answer(n).
func serve(t *testing.T, attemptResult func(w http.ResponseWriter, n int) int) *scriptedTarget {
	t.Helper()
	s := &scriptedTarget{tries: map[string]int{}, taken: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		info, bad := packet.Check(body, maxPacketMessages)
		if err != nil || bad != nil || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v, %v, %q", err, bad, r.Header)
		}
		var p sent
		if err := json.Unmarshal(body, &p); err != nil || info.Messages != len(p.Messages) {
			t.Errorf("%q: %v", body, err)
		}
		s.mu.Lock()
		s.tries[p.PacketID]++
		n := s.tries[p.PacketID]
		s.mu.Unlock()
		switch status := attemptResult(w, n); status {
		case 0:
			panic(http.ErrAbortHandler)
		case hang:
			<-r.Context().Done()
		default:
			if status == http.StatusAccepted {
				s.mu.Lock()
				s.taken[p.PacketID] += len(p.Messages)
				s.mu.Unlock()
			}
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// testConfig sends 30 lines in ten packets of three, as fast as possible.
func testConfig(t *testing.T, target string) Config {
	t.Helper()
	config := fileConfig(writeFile(t, []byte(strings.Repeat("a line\n", 30))), "3")
	config.Target, config.Rate, config.Concurrency = target, 0, 3
	return config
}

func run(ctx context.Context, t *testing.T, config Config, deps Dependencies) Report {
	t.Helper()
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	e, err := New(config, deps)
	if err != nil {
		t.Fatal(err)
	}
	report, err := e.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, report)
	return report
}

// checkReport verifies the invariants of every report.
func checkReport(t *testing.T, r Report) {
	t.Helper()
	for name, o := range map[string]Outcome{"packets": r.Packets, "messages": r.Messages} {
		if o.Left < 0 || o.Generated != o.Accepted+o.Refused+o.GaveUp+o.Left {
			t.Errorf("%s do not add up: %+v", name, o)
		}
	}
	if !r.Lines.Balanced() || r.Lines.Left < 0 {
		t.Errorf("lines do not add up: %+v", r.Lines)
	}
	if r.Latency.Count != r.Packets.Accepted {
		t.Errorf("%d latencies for %d accepted packets", r.Latency.Count, r.Packets.Accepted)
	}
	var refusals int64
	for _, n := range r.RefusedByStatus {
		refusals += n
	}
	if refusals != r.Packets.Refused {
		t.Errorf("refusals by status %v, refused %d", r.RefusedByStatus, r.Packets.Refused)
	}
}

func TestAccepted(t *testing.T) {
	target := serve(t, func(http.ResponseWriter, int) int { return http.StatusAccepted })
	report := run(t.Context(), t, testConfig(t, target.URL+"/ingest"), Dependencies{})
	if report.Packets != (Outcome{Generated: 10, Accepted: 10}) || report.Messages.Accepted != 30 || report.Lines != (Lines{Read: 30, Accepted: 30}) {
		t.Errorf("%+v", report)
	}
	if len(target.taken) != 10 || report.Retries.Total() > 0 || report.Bytes == 0 {
		t.Errorf("the target took %d packets, %d retries", len(target.taken), report.Retries.Total())
	}
	for id, messages := range target.taken {
		if messages != 3 || !strings.HasPrefix(id, report.RunID+"-") {
			t.Errorf("packet %s has %d messages", id, messages)
		}
	}
}

// Each first attempt fails; the packet is retried under the same id.
func TestRetried(t *testing.T) {
	for name, c := range map[string]struct {
		attemptResult func(w http.ResponseWriter) int
		retries       Retries
		atLeast       time.Duration
	}{
		"503 with Retry-After": {func(w http.ResponseWriter) int { w.Header().Set("Retry-After", "1"); return 503 }, Retries{Unavailable: 10}, time.Second},
		"429":                  {func(http.ResponseWriter) int { return 429 }, Retries{RateLimited: 10}, 0},
		"408":                  {func(http.ResponseWriter) int { return 408 }, Retries{Timeout: 10}, 0},
		"500":                  {func(http.ResponseWriter) int { return 500 }, Retries{ServerError: 10}, 0},
		"connection reset":     {func(http.ResponseWriter) int { return 0 }, Retries{Reset: 10}, 0},
		"no answer in time":    {func(http.ResponseWriter) int { return hang }, Retries{Timeout: 10}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			target := serve(t, func(w http.ResponseWriter, n int) int {
				if n == 1 {
					return c.attemptResult(w)
				}
				return http.StatusAccepted
			})
			config := testConfig(t, target.URL)
			config.Concurrency = 10
			config.RequestTimeout = time.Minute
			if strings.Contains(name, "no answer") {
				config.RequestTimeout = 3 * time.Second
			}
			report := run(t.Context(), t, config, Dependencies{})
			if config.RequestTimeout < time.Minute { // other attempts may time out, too, on a busy machine
				c.retries.Timeout = max(c.retries.Timeout, report.Retries.Timeout)
			}
			if report.Packets != (Outcome{Generated: 10, Accepted: 10}) || report.Retries != c.retries || len(target.taken) != 10 {
				t.Errorf("%d taken, %+v", len(target.taken), report)
			}
			if report.Latency.P50 < c.atLeast {
				t.Errorf("half were accepted within %v, despite a Retry-After of %v", report.Latency.P50, c.atLeast)
			}
		})
	}
}

// A packet that is accepted but not delivered within the timeout of ?ack=delivered is not retried;
// a packet whose proxy timed out is retried.
func TestAcceptedButNotDeliveredYet(t *testing.T) {
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", problem.ContentType)
		w.WriteHeader(http.StatusGatewayTimeout)
		late := problem.Problem{Code: problem.AckTimeout, Detail: "remains accepted"}
		_, _ = w.Write(late.AppendJSON(nil))
	}))
	defer late.Close()
	report := run(t.Context(), t, testConfig(t, late.URL), Dependencies{})
	if report.Packets.Accepted != 10 || report.Retries.Total() != 0 {
		t.Errorf("accepted %d of 10 packets, with %d retries", report.Packets.Accepted, report.Retries.Total())
	}
	proxy := serve(t, func(_ http.ResponseWriter, n int) int {
		if n == 1 {
			return http.StatusGatewayTimeout
		}
		return http.StatusAccepted
	})
	report = run(t.Context(), t, testConfig(t, proxy.URL), Dependencies{})
	if report.Packets.Accepted != 10 || report.Retries.ServerError != 10 {
		t.Errorf("accepted %d of 10 packets, with %d retries", report.Packets.Accepted, report.Retries.ServerError)
	}
}

func TestRefused(t *testing.T) {
	for _, status := range []int{400, 413, 404, 301} {
		target := serve(t, func(http.ResponseWriter, int) int { return status })
		var log lockedBuffer
		report := run(t.Context(), t, testConfig(t, target.URL), Dependencies{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if report.Packets != (Outcome{Generated: 10, Refused: 10}) || report.Lines.Refused != 30 || report.Retries.Total() > 0 || report.RefusedByStatus[status] != 10 {
			t.Errorf("%d: %+v", status, report)
		}
		if strings.Count(log.String(), "refused") != 1 {
			t.Errorf("%d was logged as %q", status, log.String())
		}
	}
}

func TestGaveUp(t *testing.T) {
	target := serve(t, func(http.ResponseWriter, int) int { return http.StatusInternalServerError })
	config := testConfig(t, target.URL)
	config.MaxRetries = 1
	report := run(t.Context(), t, config, Dependencies{})
	if report.Packets != (Outcome{Generated: 10, GaveUp: 10}) || report.Lines.GaveUp != 30 || report.Retries.ServerError != 10 {
		t.Errorf("%+v", report)
	}
	for id, n := range target.tries {
		if n != 2 {
			t.Errorf("packet %s was tried %d times", id, n)
		}
	}
}

func TestServerClosed(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	config := testConfig(t, "http://"+closed.Addr().String())
	config.MaxRetries = 0
	report := run(t.Context(), t, config, Dependencies{})
	if report.Packets != (Outcome{Generated: 10, GaveUp: 10}) {
		t.Errorf("%+v", report)
	}
}

// A target that hangs must not delay the end: pending packets are counted as
// left.
func TestStopTimeoutLeavesUnsentPackets(t *testing.T) {
	for name, attemptResult := range map[string]int{"hanging": hang, "away": http.StatusServiceUnavailable} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			target := serve(t, func(http.ResponseWriter, int) int {
				cancel()
				return attemptResult
			})
			config := testConfig(t, target.URL)
			config.RequestTimeout, config.StopTimeout = time.Hour, 50*time.Millisecond
			report := run(ctx, t, config, Dependencies{})
			if report.Packets.Accepted > 0 || report.Packets.Left == 0 || report.Packets.Left != report.Packets.Generated {
				t.Errorf("%+v", report)
			}
		})
	}
}

// Packets produced before a stop are still sent.
func TestStopSendsProducedPackets(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := serve(t, func(_ http.ResponseWriter, n int) int {
		cancel()
		if n == 1 {
			return http.StatusServiceUnavailable
		}
		return http.StatusAccepted
	})
	report := run(ctx, t, testConfig(t, target.URL), Dependencies{})
	if report.Packets.Left > 0 || report.Packets.Accepted == 0 || report.Packets.Accepted != report.Packets.Generated {
		t.Errorf("%+v", report)
	}
}

func TestDurationEndsGeneratedLoad(t *testing.T) {
	target := serve(t, func(http.ResponseWriter, int) int { return http.StatusAccepted })
	config := DefaultConfig()
	config.Target, config.Rate, config.Duration, config.PacketSize = target.URL, 100, 100*time.Millisecond, "5,20"
	report := run(t.Context(), t, config, Dependencies{})
	if n := report.Packets.Generated; n < 1 || n > 10 || report.Packets.Accepted != n || report.Lines != (Lines{}) {
		t.Errorf("%+v", report)
	}
}

func TestSnapshotAddsUpAtAnyTime(t *testing.T) {
	target := serve(t, func(_ http.ResponseWriter, n int) int {
		if n == 1 {
			return http.StatusServiceUnavailable
		}
		return http.StatusAccepted
	})
	config := testConfig(t, target.URL)
	e, err := New(config, Dependencies{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e.byteBudget = newByteBudget(1) // for one packet at a time
	done := make(chan struct{})
	var observer sync.WaitGroup
	observer.Go(func() {
		for {
			r := e.Snapshot()
			if o := r.Packets; o.Left < 0 || o.Generated != o.Accepted+o.Refused+o.GaveUp+o.Left {
				t.Errorf("%+v", o)
			}
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	if _, err := e.Run(t.Context()); err != nil {
		t.Error(err)
	}
	close(done)
	observer.Wait()
}

func TestHTTPS(t *testing.T) {
	var taken int
	target := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		taken++
		w.WriteHeader(http.StatusAccepted)
	}))
	defer target.Close()
	config := testConfig(t, target.URL)
	config.Concurrency = 1
	config.Token, config.TLS.CA = "secret", filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: target.Certificate().Raw})
	if err := os.WriteFile(config.TLS.CA, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := New(config, Dependencies{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if report, err := e.Run(t.Context()); err != nil || report.Packets.Accepted != 10 || taken != 10 {
		t.Errorf("%v, %d taken, %+v", err, taken, report)
	}
}

// A rejection before the whole packet was read must not count as a broken connection, which would
// be retried without limit.
func TestEarlyRejectionOfLargePacket(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_, err = io.ReadFull(conn, make([]byte, 1000))
		if err == nil {
			_, err = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		}
		if err := errors.Join(err, conn.Close()); err != nil {
			t.Error(err)
		}
	})
	large := `{"emitter_id":"x","packet_id":"y","messages":[{"timestamp":1,"level":"L","message":"` + strings.Repeat("y", 8<<20) + `"}]}`
	config := fileConfig(writeFile(t, []byte(large)), "5")
	config.Target, config.MaxRetries = "http://"+listener.Addr().String(), 0
	report := run(t.Context(), t, config, Dependencies{})
	if report.Packets.Refused != 1 {
		t.Errorf("%+v", report)
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	server.Wait()
}

func TestOutageIsLoggedOnce(t *testing.T) {
	target := serve(t, func(_ http.ResponseWriter, n int) int {
		if n <= 2 {
			return http.StatusServiceUnavailable
		}
		return http.StatusAccepted
	})
	var log lockedBuffer
	run(t.Context(), t, testConfig(t, target.URL), Dependencies{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if strings.Count(log.String(), "does not accept packets") != 1 || strings.Count(log.String(), "accepts packets again") != 1 {
		t.Errorf("logged %q", log.String())
	}
}

func TestByteBudget(t *testing.T) {
	r := newByteBudget(100)
	ctx, cancel := context.WithCancel(t.Context())
	if !r.acquire(ctx, 1000) {
		t.Error("a packet larger than the limit was not admitted alone")
	}
	cancel()
	if r.acquire(ctx, 1) {
		t.Error("released bytes cannot be acquired")
	}
	r.release(1000)
	if !r.acquire(t.Context(), 60) || !r.acquire(t.Context(), 40) {
		t.Error("acquired bytes over the limit")
	}
}

func TestFinalReportIsPrinted(t *testing.T) {
	target := serve(t, func(http.ResponseWriter, int) int { return http.StatusAccepted })
	var out bytes.Buffer
	run(t.Context(), t, testConfig(t, target.URL), Dependencies{Out: &out, Terminal: true})
	for _, want := range []string{"packets", "accepted/s", "lines", "p99.9", "retries"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q: %s", want, out.String())
		}
	}
}

// lockedBuffer may be written by several goroutines.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

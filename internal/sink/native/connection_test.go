package native

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
)

func TestConnectionIsReused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		f := startProbed(t, analyzer.dial)
		probing := analyzer.dialCount()
		for range 5 {
			want(t, f.send(t, 1), sink.Delivered, "")
		}
		if got := analyzer.dialCount() - probing; got != 1 {
			t.Errorf("%d connections for 5 packets", got)
		}
	})
}

// Each probe uses a connection of its own.
func TestProbesUseNewConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		f := start(t, testURL(t), analyzer.dial)
		for range 5 {
			want(t, f.probeOnce(t), sink.Delivered, "")
		}
		if analyzer.dialCount() != 5 || analyzer.probeCount() != 5 {
			t.Errorf("%d connections for %d probes", analyzer.dialCount(), analyzer.probeCount())
		}
	})
}

// A connection is not reused after each of these responses.
func TestConnectionIsClosed(t *testing.T) {
	for name, first := range map[string]reply{
		"connection: close":  status(200, "Connection: close\r\n", ""),
		"two responses":      say(ok.parts[0] + status(400, "", "unsolicited").parts[0]),
		"an unexpected body": say("HTTP/1.1 204 No Content\r\n\r\n{}"),
		"too large":          status(500, "", strings.Repeat("x", maxBodyBytes+1)),
		"error":              status(500, "Connection: close\r\n", ""),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var requests atomic.Int32
				analyzer := newFakeAnalyzer(func(receivedRequest) reply {
					if requests.Add(1) == 1 {
						return first
					}
					return ok
				})
				f := start(t, testURL(t), analyzer.dial)
				if got := f.send(t, 1); (got.Outcome == sink.Delivered) != (first.parts[0][9] == '2') {
					t.Errorf("the result is %+v", got)
				}
				want(t, f.send(t, 1), sink.Delivered, "")
				got := analyzer.received()
				if got[0].connection == got[len(got)-1].connection {
					t.Error("the connection was reused")
				}
			})
		})
	}
}

// A response after the timeout of its request is not attributed to another request.
func TestLateResponseIsDiscarded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(func(r receivedRequest) reply {
			if strings.Contains(r.body, `"packet_id":"1"`) {
				late := ok
				late.delay = requestTimeout + time.Millisecond
				return late
			}
			return status(400, "", "")
		})
		f := start(t, testURL(t), analyzer.dial)
		want(t, f.send(t, 1), sink.Failed, sink.Timeout)
		want(t, f.send(t, 1), sink.Rejected, sink.Malformed)
		time.Sleep(requestTimeout) // the late response is written
	})
}

// A reused connection that the analyzer closed is no failure. The test uses TCP: a closed
// pipe fails in other ways.
func TestStaleConnectionIsReplaced(t *testing.T) {
	closing := ok
	closing.cut = true // without having said so
	analyzer := newFakeAnalyzer(always(closing))
	f := start(t, parseURL(t, analyzer.listen(t)+"/base"), nil)
	const packets = 50
	for range packets {
		got := f.conn.Send(t.Context(), f.packets.some(t, 1), time.Now().Add(10*time.Second))
		want(t, got, sink.Delivered, "")
		if got.Lost != "" {
			t.Errorf("the result is %+v", got)
		}
	}
	if got := len(analyzer.received()); got != packets {
		t.Errorf("%d requests", got)
	}
}

// An analyzer that closes the connection on every request fails, although each connection
// but the first was reused.
func TestCloseOnEveryRequestIsAFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var requests atomic.Int32
		analyzer := newFakeAnalyzer(func(receivedRequest) reply {
			if requests.Add(1) == 1 {
				return ok
			}
			return reply{cut: true}
		})
		f := start(t, testURL(t), analyzer.dial)
		want(t, f.send(t, 1), sink.Delivered, "")
		for range 2 {
			want(t, f.send(t, 1), sink.Failed, sink.Reset)
		}
	})
}

// If the analyzer closed a reused connection during a request and cannot be reached after
// that, the result has both errors.
func TestLostConnection(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			analyzer := newFakeAnalyzer(always(ok))
			f := start(t, testURL(t), func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := analyzer.dial(ctx, network, address)
				if err != nil && interrupted {
					cancel()
				}
				return conn, err
			})
			send := func() sink.Result { return f.conn.Send(ctx, f.packets.some(t, 1), time.Now().Add(requestTimeout)) }
			want(t, send(), sink.Delivered, "")
			analyzer.set(func(s *fakeAnalyzer) {
				s.ingest = func(receivedRequest) reply {
					analyzer.set(func(s *fakeAnalyzer) { s.refuseConnections = true })
					return reply{cut: true}
				}
			})
			got := send()
			if interrupted {
				want(t, got, sink.Aborted, "")
			} else {
				want(t, got, sink.Failed, sink.Connect)
			}
			if got.Lost != "the reused connection was closed: EOF" {
				t.Errorf("the result is %+v", got)
			}
		})
	}
}

// A connection that received data or was closed while idle is not reused, and the next
// packet does not count as sent.
func TestIdleCheckFails(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"a second response": func(conn net.Conn) { _, _ = io.WriteString(conn, ok.parts[0]) },
		"closed":            func(conn net.Conn) { _ = conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			dial, responded := dialOnce(t, end)
			f := start(t, testURL(t), dial)
			send := func() sink.Result {
				return f.conn.Send(t.Context(), f.packets.some(t, 1), time.Now().Add(10*time.Second))
			}
			want(t, send(), sink.Delivered, "")
			close(responded)
			c := f.conn.connection
			for c.idleCheck.isIdle() {
				time.Sleep(time.Millisecond)
			}
			c.lastDeadline = time.Time{}
			got := send()
			want(t, got, sink.Failed, sink.Connect)
			if !got.Unsent || got.Lost != "" {
				t.Errorf("the result is %+v", got)
			}
		})
	}
}

// dialOnce returns a dial function that succeeds once. Its server answers one request and
// calls end with the connection when responded is closed.
func dialOnce(t *testing.T, end func(net.Conn)) (dial func(context.Context, string, string) (net.Conn, error), responded chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	responded, over := make(chan struct{}), make(chan struct{})
	var serving sync.WaitGroup
	t.Cleanup(func() {
		close(over)
		serving.Wait()
		_ = listener.Close()
	})
	dials := 0
	return func(context.Context, string, string) (net.Conn, error) {
		if dials++; dials > 1 {
			return nil, io.ErrClosedPipe
		}
		serving.Go(func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, ok.parts[0])
			<-responded
			end(conn)
			<-over
		})
		return net.Dial("tcp", listener.Addr().String())
	}, responded
}

// An analyzer may reject a large packet, and close or stop reading, before it has read it.
func TestEarlyRejection(t *testing.T) {
	for _, test := range []struct {
		name    string
		closes  bool
		timeout time.Duration
	}{
		{"closes", true, 10 * time.Second},
		{"stops reading", false, 500 * time.Millisecond}, // the timeout is reached
	} {
		t.Run(test.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			defer serving.Wait()
			defer listener.Close()
			over := make(chan struct{})
			defer close(over)
			serving.Go(func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					header := make([]byte, 512)
					n, _ := conn.Read(header)
					resp := ok.parts[0]
					if bytes.HasPrefix(header[:n], []byte("POST")) {
						resp = status(413, "Connection: close\r\n", "").parts[0]
					}
					_, _ = io.WriteString(conn, resp)
					if !test.closes {
						serving.Go(func() {
							<-over
							_ = conn.Close()
						})
						continue
					}
					_ = conn.Close() // with unread data: a reset
				}
			})
			f := start(t, parseURL(t, "http://"+listener.Addr().String()), nil)
			large := `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"` + strings.Repeat("m", 8<<20) + `"}]}`
			got := f.conn.Send(t.Context(), []*packet.Packet{f.packets.of(t, large)}, time.Now().Add(test.timeout))
			want(t, got, sink.Rejected, sink.TooLarge)
		})
	}
}

// A request that is not written leaves its connection usable.
func TestUnsentRequestKeepsConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		c := start(t, testURL(t), analyzer.dial).conn.connection
		r := newRequest(testURL(t), "/ingest")
		packets := new(packetMaker).some(t, 2)
		for _, ndjson := range []bool{true, false, true, false} {
			wantErr := error(nil)
			r.preparePost(packets[:1])
			if ndjson {
				r.preparePost(packets)
				wantErr = errBatchUnsupported
			}
			if _, err := c.exchange(t.Context(), r, time.Now().Add(time.Second)); err != wantErr {
				t.Fatalf("NDJSON: %v, %v", ndjson, err)
			}
		}
		if analyzer.dialCount() != 1 || len(analyzer.received()) != 2 {
			t.Errorf("%d connections for %d requests", analyzer.dialCount(), len(analyzer.received()))
		}
	})
}

// A response that is received before the request is not attributed to it.
func TestUnsolicitedResponse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var serving sync.WaitGroup
	defer serving.Wait()
	defer listener.Close()
	defer close(over)
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				_, _ = io.WriteString(conn, ok.parts[0])
				<-over
				_ = conn.Close()
			})
		}
	})
	f := start(t, testURL(t), func(context.Context, string, string) (net.Conn, error) {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return nil, err
		}
		var s idleCheck
		for s.attach(conn); s.isIdle(); { // until the response is received
			time.Sleep(time.Millisecond)
		}
		return conn, nil
	})
	got := f.conn.Send(t.Context(), f.packets.some(t, 1), time.Now().Add(10*time.Second))
	want(t, got, sink.Failed, sink.Connect)
	if !got.Unsent {
		t.Errorf("the result is %+v", got)
	}
}

package upstream

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestConnectionIsReused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		b := start(t, testConfig(), analyzer.dial)
		probing := analyzer.dialCount()
		for i := range 5 {
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, i+1)
		}
		if got := analyzer.dialCount() - probing; got != 1 {
			t.Errorf("%d connections for 5 packets", got)
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
				b := start(t, testConfig(), analyzer.dial)
				b.Offer(b.packets.some(t, 1))
				b.settler.await(t, 1)
				b.Offer(b.packets.some(t, 1))
				b.settler.await(t, 2)
				if b.settler.count("delivered") != 2 {
					t.Errorf("outcomes: %v", b.settler.summary())
				}
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
		config := testConfig()
		config.Retries = 0
		analyzer := newFakeAnalyzer(func(r receivedRequest) reply {
			if strings.Contains(r.body, `"packet_id":"1"`) {
				late := ok
				late.delay = config.Timeout + time.Millisecond
				return late
			}
			return status(400, "", "")
		})
		b := start(t, config, analyzer.dial)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 2)
		time.Sleep(config.Timeout) // the late response is written
		if one, two := b.settler.outcomeOf(1), b.settler.outcomeOf(2); one != "returned" || two != "rejected malformed" {
			t.Errorf("the packets were %s and %s", one, two)
		}
	})
}

// A reused connection that the analyzer closed is no failure. The test uses TCP: a closed
// pipe fails in other ways.
func TestStaleConnectionIsReplaced(t *testing.T) {
	closing := ok
	closing.cut = true // without having said so
	analyzer := newFakeAnalyzer(always(closing))
	config := testConfig()
	config.Retries, config.MaxFailures, config.Timeout = 0, 1, 10*time.Second
	config.URL = analyzer.listen(t) + "/base"
	b := start(t, config, nil)
	const packets = 50
	for i := range packets {
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, i+1)
	}
	if b.settler.count("delivered") != packets || !b.Healthy() || b.failures(reasonReset) != 0 {
		t.Errorf("outcomes: %v, healthy %v, %v resets", b.settler.summary(), b.Healthy(), b.failures(reasonReset))
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
		config := testConfig()
		config.MaxFailures = 2
		b := start(t, config, analyzer.dial)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 2)
		if b.settler.outcomeOf(2) != "returned" || b.Healthy() || b.failures(reasonReset) != 2 {
			t.Errorf("the packet was %s, healthy %v, %v resets", b.settler.outcomeOf(2), b.Healthy(), b.failures(reasonReset))
		}
	})
}

// A connection that received data or was closed while idle is not reused, and the next
// packet does not count as sent.
func TestIdleCheckFails(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"a second response": func(conn net.Conn) { _, _ = io.WriteString(conn, ok.parts[0]) },
		"closed":            func(conn net.Conn) { _ = conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			responded, over := make(chan struct{}), make(chan struct{})
			analyzer := newFakeAnalyzer(always(ok))
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			var serving sync.WaitGroup
			defer serving.Wait()
			defer close(over)
			dials := 0
			b := start(t, testConfig(), func(ctx context.Context, network, address string) (net.Conn, error) {
				switch dials++; dials {
				case 1:
					return analyzer.dial(ctx, network, address) // for the probe
				case 2:
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
				}
				return nil, io.ErrClosedPipe
			})
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, 1)
			close(responded)
			c := b.senders[0].connection // of the idle sender
			b.settler.until(t, "the connection is not idle", func() bool { return !c.idleCheck.isIdle() })
			c.lastDeadline = time.Time{}
			b.Offer(b.packets.some(t, 1))
			b.settler.await(t, 2)
			if b.settler.outcomeOf(2) != "returned" || b.settler.returnedTried() != 0 || b.settler.troubleOf(2) != nil || b.failures(reasonConnect) != 1 {
				t.Errorf("the packet was %s, recorded: %+v", b.settler.outcomeOf(2), b.settler.troubleOf(2))
			}
		})
	}
}

// An interrupt ends an exchange during a dial, and is no failure of the analyzer.
func TestInterruptDuringDial(t *testing.T) {
	for name, dialler := range map[string]func(context.Context) (net.Conn, error){
		"dial that can be canceled": func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"dial that succeeds nevertheless": func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			near, far := net.Pipe()
			go func() {
				_, _ = io.Copy(io.Discard, far) // ends only when the connection is closed
				_ = far.Close()
			}()
			return near, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newConnection(dialler, newTestEpoch())
				r := newRequest(testURL(t), "/health")
				r.prepareGet()
				c.begin()
				var err error
				var exchange sync.WaitGroup
				began := time.Now()
				exchange.Go(func() { _, err = c.exchange(t.Context(), r, time.Now().Add(time.Minute)) })
				synctest.Wait()
				c.interrupt()
				exchange.Wait()
				if err != errInterrupted {
					t.Errorf("the exchange ended with %v", err)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A close by the analyzer is its failure, even if an interrupt follows.
func TestInterruptAfterClose(t *testing.T) {
	near, far := net.Pipe()
	var c *connection
	c = newConnection(func(context.Context) (net.Conn, error) { return readHook{near, func() { c.interrupt() }}, nil }, newTestEpoch())
	go func() {
		_, _ = http.ReadRequest(bufio.NewReader(far))
		_ = far.Close()
	}()
	r := newRequest(testURL(t), "/health")
	r.prepareGet()
	c.begin()
	if _, err := c.exchange(t.Context(), r, time.Now().Add(time.Minute)); !closedByPeer(err) {
		t.Errorf("the exchange ended with %v", err)
	}
}

// readHook is a connection that calls after following each read.
type readHook struct {
	net.Conn
	after func()
}

func (h readHook) Read(p []byte) (int, error) {
	defer h.after()
	return h.Conn.Read(p)
}

func TestInterruptBeforeDial(t *testing.T) {
	c := newConnection(func(context.Context) (net.Conn, error) {
		t.Error("it dials after an interrupt")
		return nil, io.EOF
	}, newTestEpoch())
	r := newRequest(testURL(t), "/health")
	r.prepareGet()
	c.begin()
	c.interrupt()
	if _, err := c.exchange(t.Context(), r, time.Now().Add(time.Minute)); err != errInterrupted {
		t.Errorf("the exchange ended with %v", err)
	}
}

// Interrupts at any time never lead to a wrong response or a leaked connection.
func TestInterruptAtAnyTime(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	defer server.Close()
	c := newConnection(newDialer((&net.Dialer{}).DialContext, strings.TrimPrefix(server.URL, "http://"), nil), newTestEpoch())
	stop := make(chan struct{})
	var interrupts sync.WaitGroup
	interrupts.Go(func() {
		tick := time.NewTicker(300 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				c.interrupt()
			}
		}
	})
	r := newRequest(testURL(t), "/ingest")
	var packets packetMaker
	succeeded := 0
	for range 1000 {
		p := packets.packet(t).Packet
		r.preparePost([]*packet.Packet{p})
		c.begin()
		resp, err := c.exchange(t.Context(), r, time.Now().Add(10*time.Second))
		switch {
		case err == nil && !bytes.Equal(resp.body, p.Body):
			t.Fatalf("sent %s, got the response to %s", p.Body, resp.body)
		case err == nil:
			succeeded++
		case err != errInterrupted:
			t.Fatal(err)
		}
		p.Release()
	}
	close(stop)
	interrupts.Wait()
	c.close()
	if succeeded == 0 {
		t.Error("no exchange succeeded")
	}
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
			config := testConfig()
			config.Timeout, config.Retries, config.MaxFailures = test.timeout, 0, 100
			config.ProbeTimeout = 10 * time.Second
			config.URL = "http://" + listener.Addr().String()
			b := start(t, config, nil)
			large := `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"` + strings.Repeat("m", 8<<20) + `"}]}`
			b.Offer([]Delivery{b.packets.of(t, large)})
			b.settler.await(t, 1)
			if got := b.settler.outcomeOf(1); got != "rejected too_large" {
				t.Errorf("the packet was %s", got)
			}
		})
	}
}

// A request that is not written leaves its connection usable.
func TestUnsentRequestKeepsConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		c := newConnection(func(ctx context.Context) (net.Conn, error) { return analyzer.dial(ctx, "", "") }, newTestEpoch())
		defer c.close()
		r := newRequest(testURL(t), "/ingest")
		packets := new(packetMaker).some(t, 2)
		for _, ndjson := range []bool{true, false, true, false} {
			want := error(nil)
			r.preparePost(packetsOf(packets[:1]))
			if ndjson {
				r.preparePost(packetsOf(packets))
				want = errBatchUnsupported
			}
			c.begin()
			if _, err := c.exchange(t.Context(), r, time.Now().Add(time.Second)); err != want {
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
	analyzer := newFakeAnalyzer(always(ok))
	dials := 0
	b := start(t, testConfig(), func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials++; dials == 1 {
			return analyzer.dial(ctx, network, address) // for the probe
		}
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
	b.Offer(b.packets.some(t, 1))
	b.settler.await(t, 1)
	if b.settler.outcomeOf(1) != "returned" || b.settler.returnedTried() != 0 || b.failures(reasonConnect) != 1 {
		t.Errorf("the packet was %s, and %v failures", b.settler.outcomeOf(1), b.failures(reasonConnect))
	}
}

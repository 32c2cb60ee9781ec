package native

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
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/transport"
)

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
				c := newConnection(dialler, new(capabilityEpoch))
				r := newRequest(testURL(t), "/health")
				r.prepareGet()
				ctx, interrupt := context.WithCancel(t.Context())
				var err error
				var exchange sync.WaitGroup
				began := time.Now()
				exchange.Go(func() { _, err = c.exchange(ctx, r, time.Now().Add(time.Minute)) })
				synctest.Wait()
				interrupt()
				exchange.Wait()
				if err != transport.ErrInterrupted {
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
	ctx, interrupt := context.WithCancel(t.Context())
	c := newConnection(func(context.Context) (net.Conn, error) { return readHook{near, interrupt}, nil }, new(capabilityEpoch))
	go func() {
		_, _ = http.ReadRequest(bufio.NewReader(far))
		_ = far.Close()
	}()
	r := newRequest(testURL(t), "/health")
	r.prepareGet()
	if _, err := c.exchange(ctx, r, time.Now().Add(time.Minute)); !closedByPeer(err) {
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

// A connection that a dial opens after the interrupt is closed.
func TestInterruptedDialSucceeds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		f := start(t, testURL(t), func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			time.Sleep(time.Millisecond)
			return near, nil
		})
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, interrupt)
		began := time.Now()
		want(t, f.conn.Send(ctx, f.packets.some(t, 1), time.Now().Add(time.Minute)), sink.Aborted, "")
		if took := time.Since(began); took != time.Second+time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the analyzer reads: %v", err)
		}
	})
}

func TestInterruptBeforeDial(t *testing.T) {
	c := newConnection(func(context.Context) (net.Conn, error) {
		t.Error("it dials after an interrupt")
		return nil, io.EOF
	}, new(capabilityEpoch))
	r := newRequest(testURL(t), "/health")
	r.prepareGet()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if _, err := c.exchange(ctx, r, time.Now().Add(time.Minute)); err != transport.ErrInterrupted {
		t.Errorf("the exchange ended with %v", err)
	}
}

// Interrupts at any time never lead to a wrong response or a leaked connection.
func TestInterruptAtAnyTime(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	defer server.Close()
	c := newConnection(newDialer((&net.Dialer{}).DialContext, strings.TrimPrefix(server.URL, "http://"), nil), new(capabilityEpoch))
	r := newRequest(testURL(t), "/ingest")
	var packets packetMaker
	succeeded := 0
	for round := range 100 {
		ctx, interrupt := context.WithCancel(t.Context())
		timer := time.AfterFunc(time.Duration(round%20)*100*time.Microsecond, interrupt)
		for ctx.Err() == nil {
			p := packets.some(t, 1)[0]
			r.preparePost([]*packet.Packet{p})
			resp, err := c.exchange(ctx, r, time.Now().Add(10*time.Second))
			switch {
			case err == nil && !bytes.Equal(resp.body, p.Body):
				t.Fatalf("sent %s, got the response to %s", p.Body, resp.body)
			case err == nil:
				succeeded++
			case err != transport.ErrInterrupted:
				t.Fatal(err)
			}
			p.Release()
		}
		timer.Stop()
	}
	c.close()
	if succeeded == 0 {
		t.Error("no exchange succeeded")
	}
}

// The end of its context closes an idle connection.
func TestInterruptClosesIdleConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		f := start(t, testURL(t), analyzer.dial)
		for range 2 {
			ctx, interrupt := context.WithCancel(t.Context())
			want(t, f.conn.Send(ctx, f.packets.some(t, 1), time.Now().Add(time.Second)), sink.Delivered, "")
			interrupt()
			synctest.Wait()
			if f.conn.connection.conn != nil {
				t.Error("the connection is open")
			}
		}
		ctx, interrupt := context.WithCancel(t.Context())
		want(t, f.conn.Send(ctx, f.packets.some(t, 1), time.Now().Add(time.Second)), sink.Delivered, "")
		want(t, f.send(t, 1), sink.Delivered, "")
		interrupt()
		synctest.Wait()
		f.conn.connection.closeAfter(ctx) // as a watch does that ended too late
		want(t, f.send(t, 1), sink.Delivered, "")
		if got := analyzer.dialCount(); got != 3 {
			t.Errorf("%d connections: a context that is no longer in use closed one", got)
		}
	})
}

// Package sinktest tests implementations of package sink against what it documents.
package sinktest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// Backend is a sink with a scripted backend, which accepts all packets at first.
type Backend struct {
	Sink sink.Sink
	// Set changes what the backend does from now on.
	Set func(Behaviour)
	// Received returns the bodies of the packets that the backend received, in order.
	Received func() []string
}

// Behaviour is what a backend does.
type Behaviour int

const (
	Accept Behaviour = iota
	Reject           // each request as a whole
	Hang             // after the request was received
	Vanish           // and refuse connections
)

const timeout = time.Second

// Run runs all tests, each in a synctest bubble with a backend of its own.
func Run(t *testing.T, open func(*testing.T) Backend) {
	for name, test := range map[string]func(*testing.T, Backend){
		"Results":               testResults,
		"Capabilities":          testCapabilities,
		"Timeout":               testTimeout,
		"Interrupt":             testInterrupt,
		"PacketsAreNotRetained": testPacketsAreNotRetained,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, open(t)) })
		})
	}
}

// send sends packets with a number of their own over a connection.
func send(ctx context.Context, t *testing.T, c sink.Conn, numbers ...int) (sink.Result, []*packet.Packet) {
	t.Helper()
	var packets []*packet.Packet
	for _, number := range numbers {
		text := Body(number)
		info, err := packet.Check([]byte(text), 1)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, new(packet.Pool).New([]byte(text), info))
	}
	return c.Send(ctx, packets, time.Now().Add(timeout)), packets
}

// Body returns the body of the packet with a number.
func Body(number int) string {
	return fmt.Sprintf(`{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, number)
}

func (b Backend) want(t *testing.T, got sink.Result, outcome sink.Outcome, received ...int) {
	t.Helper()
	var bodies []string
	for _, number := range received {
		bodies = append(bodies, Body(number))
	}
	if got.Outcome != outcome || !slices.Equal(b.Received(), bodies) {
		t.Errorf("the result is %+v, want the outcome %d; the backend received %q", got, outcome, b.Received())
	}
	reasons := sink.Failures()
	if got.Outcome == sink.Rejected {
		reasons = sink.Rejections()
	}
	if got.Outcome != sink.Delivered && got.Outcome != sink.Aborted && !slices.Contains(reasons, got.Reason) {
		t.Errorf("the reason is %q, want one of %q", got.Reason, reasons)
	}
}

func testResults(t *testing.T, b Backend) {
	c := b.Sink.NewConn()
	defer c.Close()
	got, _ := send(t.Context(), t, c, 1)
	b.want(t, got, sink.Delivered, 1)
	b.Set(Reject)
	got, _ = send(t.Context(), t, c, 2)
	b.want(t, got, sink.Rejected, 1, 2)
	b.Set(Vanish)
	other := b.Sink.NewConn()
	defer other.Close()
	if got, _ = send(t.Context(), t, other, 3); !got.Unsent {
		t.Error("a packet counts as sent to a backend that is unreachable")
	}
	b.want(t, got, sink.Failed, 1, 2)
	b.want(t, b.Sink.Probe(t.Context(), time.Now().Add(timeout)), sink.Failed, 1, 2)
}

// No more packets are sent than the backend accepts.
func testCapabilities(t *testing.T, b Backend) {
	c := b.Sink.NewConn()
	defer c.Close()
	want := []int{1}
	if got := b.Sink.Capabilities().MaxPackets; got < 2 {
		got, _ := send(t.Context(), t, c, 1, 2)
		if b.want(t, got, sink.Rejected); !got.Unsent {
			t.Error("the packets count as sent")
		}
	} else {
		want = append(want, 2)
	}
	got, _ := send(t.Context(), t, c, want...)
	b.want(t, got, sink.Delivered, want...)
}

func testTimeout(t *testing.T, b Backend) {
	c := b.Sink.NewConn()
	defer c.Close()
	b.Set(Hang)
	began := time.Now()
	got, _ := send(t.Context(), t, c, 1)
	b.want(t, got, sink.Failed, 1)
	if took := time.Since(began); took != timeout || got.Reason != sink.Timeout || got.Unsent {
		t.Errorf("after %v the result is %+v", took, got)
	}
}

// The end of the context ends Send at once; the connection remains usable.
func testInterrupt(t *testing.T, b Backend) {
	c := b.Sink.NewConn()
	defer c.Close()
	b.Set(Hang)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(timeout/2, cancel)
	began := time.Now()
	got, _ := send(ctx, t, c, 1)
	b.want(t, got, sink.Aborted, 1)
	if took := time.Since(began); took != timeout/2 || got.Unsent {
		t.Errorf("after %v the result is %+v", took, got)
	}
	b.Set(Accept)
	got, _ = send(ctx, t, c, 2)
	b.want(t, got, sink.Aborted, 1)
	got, _ = send(t.Context(), t, c, 3)
	b.want(t, got, sink.Delivered, 1, 3)
}

// Packets may be overwritten after Send.
func testPacketsAreNotRetained(t *testing.T, b Backend) {
	c := b.Sink.NewConn()
	defer c.Close()
	for i := range 3 {
		got, packets := send(t.Context(), t, c, i)
		b.want(t, got, sink.Delivered, []int{0, 1, 2}[:i+1]...)
		for _, p := range packets {
			clear(p.Body)
			*p = packet.Packet{}
		}
	}
}

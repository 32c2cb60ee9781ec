package datagram

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

type testbed struct {
	*Server
	conn              net.Conn
	got               chan string
	block             chan struct{} // if it is not nil, the handler waits until it is closed
	dropped, overflow atomic.Int64
}

func start(t *testing.T, blocked bool) *testbed {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &testbed{got: make(chan string, 1<<16)}
	if blocked {
		b.block = make(chan struct{})
	}
	b.Server = Serve(socket, Dependencies{
		Handler: func(_ context.Context, batch []Datagram) {
			if b.block != nil {
				<-b.block
			}
			for _, d := range batch {
				b.got <- string(d.Payload)
			}
		},
		Dropped:       func(n int) { b.dropped.Add(int64(n)) },
		KernelDropped: func(n int) { b.overflow.Add(int64(n)) },
		Logger:        slog.New(slog.DiscardHandler),
	})
	if b.conn, err = net.Dial("udp", socket.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.conn.Close() })
	return b
}

func (b *testbed) send(t *testing.T, text string) {
	t.Helper()
	if _, err := b.conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestDatagrams(t *testing.T) {
	b := start(t, false)
	want := []string{"", "a", strings.Repeat("x", 60_000), strings.Repeat("y", 60_000), "b"}
	for _, text := range want {
		b.send(t, text)
	}
	for _, text := range want {
		if got := <-b.got; got != text {
			t.Errorf("%.100q, want %.100q", got, text)
		}
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// Every datagram that was read is handled or counted, also when the handler is slow and the
// server stops.
func TestDropped(t *testing.T) {
	b := start(t, true)
	sent := int64(0)
	for ; b.dropped.Load() == 0; sent++ {
		b.send(t, fmt.Sprintf("%d %s", sent, strings.Repeat("x", 8000)))
	}
	b.conn.Close()
	close(b.block)
	if err := b.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	close(b.got)
	handled := int64(0)
	for range b.got {
		handled++
	}
	if total := handled + b.dropped.Load(); total > sent || handled < batches {
		t.Errorf("%d were sent, %d handled, %d dropped", sent, handled, b.dropped.Load())
	}
}

// While the handler is busy, batches are filled: as many datagrams wait as the batches hold.
func TestBusyHandler(t *testing.T) {
	b := start(t, true)
	const sent = batches + 2
	pace := time.NewTicker(2 * delay) // of a sender that sends one datagram in more than delay
	defer pace.Stop()
	for n := range sent {
		b.send(t, fmt.Sprint(n))
		<-pace.C
	}
	close(b.block)
	for n := range sent {
		if got := <-b.got; got != fmt.Sprint(n) {
			t.Errorf("%q, want %d", got, n)
		}
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if n := b.dropped.Load(); n > 0 {
		t.Errorf("%d were dropped", n)
	}
}

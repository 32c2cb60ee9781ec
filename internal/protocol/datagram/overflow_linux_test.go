package datagram

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// What the kernel has dropped because its buffer was full is counted with the next datagram,
// once.
func TestKernelDrops(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	server := socket.(*net.UDPConn)
	reportOverflow(server)
	_ = server.SetReadBuffer(4 << 10)
	client, err := net.Dial("udp", socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	write := func() {
		if _, err := client.Write([]byte(strings.Repeat("x", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	const sent = 100
	for range sent {
		write()
	}
	counted, received := 0, 0
	s := &Server{conn: server, ctx: t.Context(), control: make([]byte, 128), deps: Dependencies{
		KernelDropped: func(n int) { counted += n }, Logger: slog.New(slog.DiscardHandler),
	}}
	b := &batch{data: make([]byte, 0, 1<<20)}
	read := func() bool {
		b.data, b.datagrams = b.data[:0], b.datagrams[:0]
		return s.readOne(b, time.Now().Add(100*time.Millisecond))
	}
	for read() {
		received++
	}
	write()
	if !read() || received == 0 || received+counted != sent {
		t.Errorf("%d were sent, %d received, %d counted as dropped", sent, received, counted)
	}
	write()
	if !read() || received+counted != sent {
		t.Errorf("%d are counted as dropped, %d were", counted, sent-received)
	}
}

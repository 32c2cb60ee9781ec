package datagram

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waiting reports whether there is a datagram to read.
func waiting(t *testing.T, conn *net.UDPConn) bool {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var size int
	var failed error
	if err := raw.Control(func(descriptor uintptr) { size, failed = unix.IoctlGetInt(int(descriptor), unix.SIOCINQ) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return size > 0
}

// Datagrams that the kernel has dropped because its buffer was full are counted with the next
// datagram, once.
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
	write := func(text string) {
		if _, err := client.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	const sent = 100
	for range sent {
		write(strings.Repeat("x", 1000))
	}
	counted, received := 0, 0
	s := &Server{conn: server, ctx: t.Context(), control: make([]byte, 128), deps: Dependencies{
		KernelDropped: func(n int) { counted += n }, Logger: slog.New(slog.DiscardHandler),
	}}
	b := &batch{data: make([]byte, 0, 1<<20)}
	read := func() bool {
		b.data, b.datagrams = b.data[:0], b.datagrams[:0]
		return s.readOne(b, time.Now().Add(time.Minute))
	}
	for ; waiting(t, server); received++ {
		read()
	}
	for range 2 {
		write("last")
		for read() && string(b.datagrams[0].Payload) != "last" {
			received++
		}
		if received == 0 || received+counted != sent {
			t.Errorf("%d were sent, %d received, %d counted as dropped", sent, received, counted)
		}
	}
}

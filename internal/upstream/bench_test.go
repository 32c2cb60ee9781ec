package upstream

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
)

// batches is the ladder: packets that are bound at once, or sent in a request.
var batches = []int{1, 8, 64, 512}

// BenchmarkQueue is what the queue costs for packets that are bound, taken by
// one sender and settled.
func BenchmarkQueue(b *testing.B) {
	for _, batch := range batches {
		b.Run(fmt.Sprintf("packets=%d", batch), func(b *testing.B) {
			pass := passThrough(b, batch)
			b.ReportAllocs()
			for b.Loop() {
				pass()
			}
			reportPerPacket(b, batch)
		})
	}
}

// passThrough returns what binds packets, takes them and settles them.
func passThrough(t testing.TB, batch int) func() {
	q := newQueue()
	seat := q.seat()
	packets := new(maker).some(t, batch)
	volume := packet.VolumeOf(packets)
	limits := batchLimits{packets: batch, enough: batch}
	var taken []*packet.Packet
	return func() {
		q.offer(packets, limits)
		taken, _ = q.take(seat, taken[:0], func() batchLimits { return limits })
		q.finished(volume)
	}
}

// BenchmarkSender sends packets of 5 messages over a loopback socket, one
// request after the other, to an analyzer that answers at once. The analyzer's
// part is in the figures; it allocates nothing.
func BenchmarkSender(b *testing.B) {
	for _, batch := range batches {
		b.Run(fmt.Sprintf("packets=%d", batch), func(b *testing.B) {
			deliver := delivery(b, batch)
			b.SetBytes(int64(batch * len(fiveMessages)))
			b.ReportAllocs()
			for b.Loop() {
				deliver()
			}
			reportPerPacket(b, batch)
		})
	}
}

func reportPerPacket(b *testing.B, batch int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/packet")
}

// delivery returns what delivers so many packets in one request.
func delivery(t testing.TB, batch int) func() {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	config := testConfig()
	config.URL = listenPrompt(t)
	config.Timeout = time.Minute
	settler := new(deliveries)
	u, err := New(config, Dependencies{
		Settler: settler, Logger: slog.New(slog.DiscardHandler), Metrics: metrics, Budget: new(retrybudget.Budget),
	})
	if err != nil {
		t.Fatal(err)
	}
	u.asked.Store(true)
	u.incarnation.learn(u.incarnation.number.Load(), true)
	sender := u.senders[0]
	t.Cleanup(sender.connection.close)
	var packets []*packet.Packet
	source := new(maker)
	for range batch {
		packets = append(packets, source.of(t, fiveMessages))
	}
	ctx := t.Context()
	return func() {
		settler.packets = 0
		if sender.deliver(ctx, packets, visit{}); settler.packets != batch {
			t.Fatalf("%d of %d packets were delivered", settler.packets, batch)
		}
	}
}

const (
	aMessage     = `{"timestamp":1640995200000,"level":"INFO","message":"request 4711 handled in 12 ms","metadata":{"service":"checkout","region":"eu-west-1"}}`
	fiveMessages = `{"emitter_id":"emitter-1","packet_id":"emitter-1-0000000000042","messages":[` +
		aMessage + "," + aMessage + "," + aMessage + "," + aMessage + "," + aMessage + `]}`
)

// deliveries is a Settler that counts what the only sender delivers.
type deliveries struct{ packets int }

func (d *deliveries) Delivered(_ int, packets []*packet.Packet) { d.packets += len(packets) }
func (d *deliveries) Rejected(int, []Rejection)                 {}
func (d *deliveries) Nacked(int, []*packet.Packet)              {}
func (d *deliveries) CapacityChanged()                          {}

// listenPrompt serves an analyzer that answers each request at once, until the
// test ends, and returns its URL.
func listenPrompt(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { answerAll(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return "http://" + listener.Addr().String()
}

func answerAll(conn net.Conn) {
	defer conn.Close()
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	reader := bufio.NewReaderSize(conn, 64<<10)
	var header fasthttp.RequestHeader
	for header.Read(reader) == nil {
		if _, err := reader.Discard(header.ContentLength()); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// BenchmarkAnswer is what it costs to read an answer that is here, from the usual one to
// those that others give.
func BenchmarkAnswer(b *testing.B) {
	for _, answer := range []struct{ name, text string }{
		{"usual", "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"},
		{"fields", "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nX-Request-Id: 4711\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"},
		{"chunks", "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"},
		{"empty", "HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"},
	} {
		b.Run("kind="+answer.name, func(b *testing.B) {
			source := strings.NewReader(answer.text)
			reader := newResponseReader()
			b.ReportAllocs()
			for b.Loop() {
				source.Reset(answer.text)
				reader.Reset(source)
				if _, err := reader.Peek(1); err != nil {
					b.Fatal(err)
				}
				if r, err := reader.read(); err != nil || !isSuccess(r.status) {
					b.Fatal(r, err)
				}
			}
		})
	}
}

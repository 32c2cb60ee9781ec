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

	"github.com/logstreamer/logstreamer/internal/retrybudget"
)

// batches is the ladder of packets per request.
var batches = []int{1, 8, 64, 512}

// BenchmarkQueue measures offer, take and finished.
func BenchmarkQueue(b *testing.B) {
	for _, batch := range batches {
		b.Run(fmt.Sprintf("packets=%d", batch), func(b *testing.B) {
			pass := queueCycle(b, batch)
			b.ReportAllocs()
			for b.Loop() {
				pass()
			}
			reportPerPacket(b, batch)
		})
	}
}

// queueCycle returns a function that offers packets, takes them and finishes them.
func queueCycle(t testing.TB, batch int) func() {
	q := newQueue()
	waiter := q.newWaiter()
	packets := new(packetMaker).some(t, batch)
	volume := VolumeOf(packets)
	limits := batchLimits{packets: batch, flushSize: batch}
	var got []Delivery
	return func() {
		q.offer(packets, limits)
		got, _ = q.take(waiter, got[:0], func() batchLimits { return limits })
		q.finished(volume)
	}
}

// BenchmarkSender sends packets of 5 messages over a loopback socket, one request after the
// other, to an analyzer that responds at once. The results include the analyzer, which
// does not allocate.
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

// delivery returns a function that delivers a batch in one request.
func delivery(t testing.TB, batch int) func() {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	config := testConfig()
	config.URL = serveImmediately(t)
	config.Timeout = time.Minute
	settler := new(countingSettler)
	u, err := New(config, Dependencies{
		Settler: settler, Logger: slog.New(slog.DiscardHandler), Metrics: metrics, Budget: new(retrybudget.Budget),
	})
	if err != nil {
		t.Fatal(err)
	}
	u.probed.Store(true)
	u.epoch.learn(u.epoch.number.Load(), true)
	sender := u.senders[0]
	t.Cleanup(sender.connection.close)
	var packets []Delivery
	source := new(packetMaker)
	for range batch {
		packets = append(packets, source.of(t, fiveMessages))
	}
	ctx := t.Context()
	return func() {
		settler.packets = 0
		if sender.deliver(ctx, packets, attempt{}); settler.packets != batch {
			t.Fatalf("%d of %d packets were delivered", settler.packets, batch)
		}
	}
}

const (
	aMessage     = `{"timestamp":1640995200000,"level":"INFO","message":"request 4711 handled in 12 ms","metadata":{"service":"checkout","region":"eu-west-1"}}`
	fiveMessages = `{"emitter_id":"emitter-1","packet_id":"emitter-1-0000000000042","messages":[` +
		aMessage + "," + aMessage + "," + aMessage + "," + aMessage + "," + aMessage + `]}`
)

// countingSettler is a Settler that counts delivered packets.
type countingSettler struct{ packets int }

func (d *countingSettler) Delivered(_ string, packets []Delivery) { d.packets += len(packets) }
func (d *countingSettler) Rejected(string, []Rejection)           {}
func (d *countingSettler) Nacked(string, []Delivery)              {}
func (d *countingSettler) CapacityChanged()                       {}

// serveImmediately serves an analyzer that responds to each request at once until the test
// ends, and returns its URL.
func serveImmediately(t testing.TB) string {
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
			serving.Go(func() { respondToAll(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return "http://" + listener.Addr().String()
}

func respondToAll(conn net.Conn) {
	defer conn.Close()
	response := []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	reader := bufio.NewReaderSize(conn, 64<<10)
	var header fasthttp.RequestHeader
	for header.Read(reader) == nil {
		if _, err := reader.Discard(header.ContentLength()); err != nil {
			return
		}
		if _, err := conn.Write(response); err != nil {
			return
		}
	}
}

// BenchmarkReadResponse measures reading a buffered response on the fast and slow paths.
func BenchmarkReadResponse(b *testing.B) {
	for _, response := range []struct{ name, text string }{
		{"fast", "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"},
		{"fields", "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nX-Request-Id: 4711\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"},
		{"chunks", "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"},
		{"empty", "HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"},
	} {
		b.Run("kind="+response.name, func(b *testing.B) {
			source := strings.NewReader(response.text)
			reader := newResponseReader()
			b.ReportAllocs()
			for b.Loop() {
				source.Reset(response.text)
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

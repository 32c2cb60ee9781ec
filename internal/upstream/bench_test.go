package upstream

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/native"
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
	endpoint, err := sink.ParseURL(serveImmediately(t))
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	analyzer := native.New(endpoint.Base, nil, nil, logger)
	if got := analyzer.Probe(t.Context(), time.Now().Add(time.Minute)); got.Outcome != sink.Delivered {
		t.Fatalf("the probe returned %+v", got)
	}
	config := testConfig()
	config.Timeout = time.Minute
	settler := new(countingSettler)
	u := New(config, Dependencies{
		Sink: analyzer, Settler: settler, Logger: logger, Metrics: metrics, Budget: new(retrybudget.Budget),
	})
	u.probed.Store(true)
	u.sending.Store(newSendingContext(t.Context()))
	sender := u.senders.all[0]
	t.Cleanup(sender.conn.Close)
	var packets []Delivery
	source := new(packetMaker)
	for range batch {
		packets = append(packets, source.of(t, fiveMessages))
	}
	return func() {
		settler.packets = 0
		if sender.deliver(packets, attempt{}); settler.packets != batch {
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
	health := []byte("HTTP/1.1 200 OK\r\nAccept-Post: application/x-ndjson\r\nContent-Length: 2\r\n\r\n{}")
	response := []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	reader := bufio.NewReaderSize(conn, 64<<10)
	var header fasthttp.RequestHeader
	for header.Read(reader) == nil {
		if header.IsGet() {
			if _, err := conn.Write(health); err != nil {
				return
			}
			continue
		}
		if _, err := reader.Discard(header.ContentLength()); err != nil {
			return
		}
		if _, err := conn.Write(response); err != nil {
			return
		}
	}
}

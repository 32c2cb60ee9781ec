package distributor

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	benchConnections = 64
	// packetsEach is how many packets a connection sends in a burst, one after
	// the other.
	packetsEach  = 16
	burstPackets = benchConnections * packetsEach
)

// BenchmarkPacket is a whole packet's way over loopback sockets: 64 connections
// send packets of 5 messages, and three analyzers answer at once. One operation
// is a burst of packets until the last one has arrived at an analyzer. The
// emitters' and the analyzers' part is in the times; they allocate nothing.
func BenchmarkPacket(b *testing.B) {
	for _, lines := range []bool{true, false} {
		b.Run(fmt.Sprintf("ndjson=%v", lines), func(b *testing.B) {
			traffic := startTraffic(b, lines)
			traffic.burst(b) // opens what has to be open
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				traffic.burst(b)
			}
			runtime.ReadMemStats(&after)
			packets := float64(b.N * burstPackets)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/packets, "ns/packet")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/packets, "B/packet")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/packets, "allocs/packet")
		})
	}
}

// traffic is emitters in front of a distributor in front of prompt analyzers.
type traffic struct {
	emitters []*benchEmitter
	// travelling counts packets that were sent and have not arrived.
	travelling sync.WaitGroup
}

func startTraffic(t testing.TB, lines bool) *traffic {
	t.Helper()
	traffic := new(traffic)
	var targets []Target
	for i, weight := range []float64{0.5, 0.3, 0.2} {
		targets = append(targets, Target{ID: fmt.Sprint("analyzer-", i+1), URL: traffic.analyzer(t, lines), Weight: weight})
	}
	config := quick(t, targets...)
	config.Analyzer.Timeout = 10 * time.Second // a busy machine is no sick analyzer
	config.Analyzer.ProbeInterval = time.Hour
	s := startSystem(t, config)
	for range benchConnections {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		traffic.emitters = append(traffic.emitters, &benchEmitter{conn: conn, reader: bufio.NewReader(conn)})
	}
	return traffic
}

// burst sends packetsEach packets over each connection and waits until all have
// arrived.
func (s *traffic) burst(t testing.TB) {
	s.travelling.Add(burstPackets)
	for range packetsEach {
		for _, e := range s.emitters {
			if _, err := e.conn.Write(ingestRequest); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range s.emitters {
			if err := e.answer.Read(e.reader); err != nil || e.answer.StatusCode() != fasthttp.StatusAccepted {
				t.Fatal(e.answer.StatusCode(), err)
			}
		}
	}
	s.travelling.Wait()
}

// benchEmitter is one connection that sends packets.
type benchEmitter struct {
	conn   net.Conn
	reader *bufio.Reader
	answer fasthttp.Response
}

const (
	aMessage     = `{"timestamp":1640995200000,"level":"INFO","message":"request 4711 handled in 12 ms","metadata":{"service":"checkout","region":"eu-west-1"}}`
	fiveMessages = `{"emitter_id":"emitter-1","packet_id":"emitter-1-0000000000042","messages":[` +
		aMessage + "," + aMessage + "," + aMessage + "," + aMessage + "," + aMessage + `]}`
)

var ingestRequest = fmt.Appendf(nil,
	"POST /ingest HTTP/1.1\r\nHost: distributor\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
	len(fiveMessages), fiveMessages)

// analyzer serves an analyzer that answers each request at once, until the test
// ends, and returns its URL. With lines it takes NDJSON.
func (s *traffic) analyzer(t testing.TB, lines bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	if lines {
		answer = []byte("HTTP/1.1 200 OK\r\nAccept-Post: application/json, application/x-ndjson\r\nContent-Length: 2\r\n\r\n{}")
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.take(conn, answer) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return "http://" + listener.Addr().String()
}

// take answers the requests of one connection and counts the packets in them.
func (s *traffic) take(conn net.Conn, answer []byte) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 64<<10)
	var header fasthttp.RequestHeader
	var body []byte
	for header.Read(reader) == nil {
		length := max(0, header.ContentLength()) // a probe has none
		body = slices.Grow(body[:0], length)[:length]
		if _, err := io.ReadFull(reader, body); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
		if length > 0 {
			s.travelling.Add(-max(1, bytes.Count(body, []byte{'\n'})))
		}
	}
}

package native

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// sink takes every packet and releases it.
type sink struct{}

func (sink) Append(packets []*packet.Packet) (int, error) {
	for _, p := range packets {
		p.Release()
	}
	return len(packets), nil
}

func (s sink) AppendAll(packets []*packet.Packet) error {
	_, err := s.Append(packets)
	return err
}

func (s sink) AppendAsync(packets []*packet.Packet, _ journal.Waiter) (int, bool, error) {
	taken, err := s.Append(packets)
	return taken, false, err
}

func (sink) CheckCapacity(int) error { return nil }

func (sink) Fits(int) bool { return true }

func BenchmarkSingle(b *testing.B) {
	for _, size := range []int{100, 800, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			addr := listenAndServe(b, newHandler(b, standard(), sink{}), standard().server)
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			request := []byte(post(aPacket("p", size), jsonType))
			reader := bufio.NewReader(conn)
			b.SetBytes(int64(len(request)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				response, err := http.ReadResponse(reader, nil)
				if err != nil || response.StatusCode != http.StatusAccepted {
					b.Fatal(response, err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
			}
		})
	}
}

func BenchmarkLines(b *testing.B) {
	h := newHandler(b, standard(), sink{})
	body := strings.Repeat(aPacket("p", 800)+"\n", 100)
	reader := strings.NewReader(body)
	request, _ := requestOf(b, reader, len(body), linesType)
	var response http1.Response
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		h.Handle(request, &response)
		if response.Status != http.StatusAccepted {
			b.Fatal(string(response.Body))
		}
	}
}

func BenchmarkTraceOf(b *testing.B) {
	header := []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	b.ReportAllocs()
	for b.Loop() {
		if traceOf(header) == "" {
			b.Fatal("not valid")
		}
	}
}

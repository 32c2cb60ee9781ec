package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// sink takes every packet and gives it back.
type sink struct{}

func (sink) Put(packets []*packet.Packet) (int, error) {
	for _, p := range packets {
		p.Release()
	}
	return len(packets), nil
}

func (s sink) Submit(packets []*packet.Packet, _ journal.Waiter) (int, bool, error) {
	taken, err := s.Put(packets)
	return taken, false, err
}

func (sink) Room(int) error { return nil }

func TestAllocationsOfAPacket(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop their contents at random under the race detector")
	}
	h := newHandler(t, standard(), sink{})
	body := aPacket("p", 800)
	var ctx fasthttp.RequestCtx
	reader := strings.NewReader(body)
	allocations := testing.AllocsPerRun(1000, func() {
		ctx.Request.Reset()
		ctx.Response.Reset()
		ctx.Request.Header.SetMethod(fasthttp.MethodPost)
		ctx.Request.Header.SetContentType("application/json")
		reader.Reset(body)
		ctx.Request.SetBodyStream(reader, len(body))
		h.Handle(&ctx)
		if ctx.Response.StatusCode() != fasthttp.StatusAccepted {
			t.Fatal(ctx.Response.String())
		}
	})
	t.Logf("%v allocations a packet", allocations)
	if allocations > 1 { // the slice of one packet that Put gets
		t.Errorf("%v allocations a packet", allocations)
	}
}

func BenchmarkSingle(b *testing.B) {
	for _, size := range []int{100, 800, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			addr := listenAndServe(b, newHandler(b, standard(), sink{}), DefaultTimeouts())
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			request := []byte(post(aPacket("p", size), jsonType))
			reader := bufio.NewReader(conn)
			var response fasthttp.Response
			b.SetBytes(int64(len(request)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				if err := response.Read(reader); err != nil || response.StatusCode() != fasthttp.StatusAccepted {
					b.Fatal(response.StatusCode(), err)
				}
			}
		})
	}
}

func BenchmarkLines(b *testing.B) {
	h := newHandler(b, standard(), sink{})
	body := strings.Repeat(aPacket("p", 800)+"\n", 100)
	var ctx fasthttp.RequestCtx
	reader := strings.NewReader(body)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		ctx.Request.Reset()
		ctx.Response.Reset()
		ctx.Request.Header.SetMethod(fasthttp.MethodPost)
		ctx.Request.Header.SetContentType("application/x-ndjson")
		reader.Reset(body)
		ctx.Request.SetBodyStream(io.Reader(reader), len(body))
		h.Handle(&ctx)
		if ctx.Response.StatusCode() != fasthttp.StatusAccepted {
			b.Fatal(ctx.Response.String())
		}
	}
}

package lossless

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/otlp"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	sinkotlp "github.com/logstreamer/logstreamer/internal/sink/otlp"
)

// wayThrough translates requests of OTLP into packets and back.
type wayThrough struct {
	testing.TB
	origins  atomic.Bool // packets keep their origins
	defers   atomic.Bool // and need no body
	protocol *otlp.HTTP
	journal  *memory.Journal
	codec    httpsink.Codec
}

const maxPacketBytes = 64 << 20

func newWayThrough(t testing.TB) *wayThrough {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	window, err := dedupe.Open(dedupe.Config{Window: time.Nanosecond, Packets: 1}, logger, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &wayThrough{TB: t, journal: memory.New(memory.Config{QueuePackets: 100_000, LimitBytes: 1 << 30})}
	in := intake.New(intake.Config{MemoryBytes: 1 << 30, Ack: intake.AckQueued, Mode: intake.ModeOpen}, intake.Dependencies{
		Journal: w.journal, Pool: new(packet.Pool), Accepting: func() bool { return true }, InputDuplicates: window,
		RetryAfter: func(intake.Reason) time.Duration { return time.Second }, Logger: logger, ProtocolReasons: reasons(),
	})
	metrics, err := receiver.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s, err := receiver.NewService(receiver.DefaultConfig(), receiver.Dependencies{
		Intake: in, Metrics: metrics, Logger: logger,
		Limits:       func() record.Limits { return record.Limits{Bytes: maxPacketBytes, Messages: 10_000} },
		KeepsOrigins: w.origins.Load, DefersBodies: w.defers.Load, InMemory: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.protocol = otlp.NewHTTP(s.Receiver("otlp-http", "otlp"))
	w.codec = sinkotlp.Backend(nil).NewCodec()
	return w
}

func reasons() (reasons []string) {
	for _, code := range problem.Refusals() {
		reasons = append(reasons, string(code))
	}
	return reasons
}

// post sends a request and returns the response.
func (w *wayThrough) post(contentType string, body []byte) http1.Response {
	w.Helper()
	text := fmt.Sprintf("POST /v1/logs HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, len(body))
	head, err := http1.Parse([]byte(text), 8<<10)
	if err != nil {
		w.Fatal(err)
	}
	var response http1.Response
	r := server.NewRequest(&head, bytes.NewReader(body), netip.MustParseAddr("192.0.2.1"), time.Now())
	if !w.protocol.Handle(r, &response) {
		w.Fatal("the path is not handled")
	}
	return response
}

// fetch takes the accepted packets.
func (w *wayThrough) fetch() []*packet.Packet {
	w.Helper()
	accepted, err := w.journal.Fetch(context.Background(), nil, 100_000)
	if err != nil {
		w.Fatal(err)
	}
	return accepted
}

// packets takes the accepted packets, complete, and checks that the Info of each packet describes
// it.
func (w *wayThrough) packets() (accepted []*packet.Packet) {
	w.Helper()
	accepted = w.fetch()
	for _, p := range accepted {
		deferred, size, footprint := p.IsDeferred(), p.Size(), p.Footprint()
		if p.Complete(); p.Size() != size || len(p.Body) != size || p.Footprint() != footprint {
			w.Fatalf("of a size of %d and a footprint of %d are %d and %d left: %.400s", size, footprint, len(p.Body), p.Footprint(), p.Body)
		}
		if deferred && p.Origin == nil {
			w.Fatalf("a deferred packet has no origin: %.400s", p.Body)
		}
		info, err := packet.Check(p.Body, 10_000)
		if err != nil || info != p.Info {
			w.Fatalf("%v: the packet has %+v, and Check says %+v: %.400s", err, p.Info, info, p.Body)
		}
		if bytes.IndexByte(p.Body, '\n') >= 0 {
			w.Fatalf("the packet spans lines: %.400s", p.Body)
		}
	}
	return accepted
}

// through sends a request, and returns the request that a receiver of OTLP gets.
func (w *wayThrough) through(contentType string, body []byte) []byte {
	w.Helper()
	if response := w.post(contentType, body); response.Status != http.StatusOK || len(response.Body) > len("{}") {
		w.Fatalf("the response is %d %q", response.Status, response.Body)
	}
	var request httpsink.Request
	accepted := w.packets()
	w.codec.Encode(&request, accepted)
	w.journal.Ack(accepted)
	return request.Body
}

// Package ingest is the way in: it reads POST /ingest, has each packet checked,
// hands it to the journal and answers. It refuses before it reads what it need
// not read, it never waits for room, and whatever it refuses it names (see
// package problem). A 202 is sent only for what the journal has taken.
//
// A Server gives each connection to a loop, which serves as sockets those on
// which only usual requests come (see isFastPath); their packets go to the journal
// in batches. With any other request the connection gets a goroutine of its own,
// which calls Handle. Both ways read requests with package http1, and check, screen,
// store and refuse with the same functions.
package ingest

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
)

// Journal takes packets; see journal.Journal.
type Journal interface {
	Append(packets []*packet.Packet) (taken int, err error)
	AppendAsync(packets []*packet.Packet, w journal.Waiter) (taken int, pending bool, err error)
	CheckCapacity(bytes int) error
}

// Config is what users set; the tags are those of package config.
type Config struct {
	// MaxBodyBytes bounds a request's body, decompressed.
	MaxBodyBytes int `env:"MAX_BODY_BYTES" format:"bytes" min:"1" max:"1073741824" reload:"live" help:"maximum decompressed size of a request in bytes, such as 10MiB"`
	// MaxPacketMessages bounds one packet.
	MaxPacketMessages int `env:"MAX_PACKET_MESSAGES" min:"1" max:"262144" reload:"live" help:"maximum messages per packet"`
	// MemoryBytes bounds what requests that are being read hold together.
	MemoryBytes int64
	// MaxConnections bounds the connections that are open; one more is answered
	// with 503 and closed.
	MaxConnections int
	// DrainDelay is for how long a stop goes on to accept connections and to answer
	// them with 503, so that whoever balances load has time to event.
	DrainDelay time.Duration `env:"DRAIN_SEC" format:"seconds" min:"0" reload:"live" help:"seconds for which a stopping distributor still accepts connections and answers 503, for load balancers"`
	// Ack is when emitters are answered that do not say; empty is the
	// strongest that costs no waiting for analyzers. AckTimeout bounds
	// AckDelivered.
	Ack        Ack           `env:"ACK" enum:"queued,stored,delivered" reload:"live" help:"default of ?ack=: queued, stored or delivered (default: queued, with JOURNAL=disk stored)"`
	AckTimeout time.Duration `env:"ACK_TIMEOUT_MS" format:"milliseconds" min:">0" reload:"live" help:"timeout of ?ack=delivered in milliseconds"`
	// Stores tells that the journal is on stable storage, as AckStored needs.
	Stores bool
	// Shed is who is refused first when room gets scarce.
	Shed Shed `env:"SHED" reload:"live" help:"levels that are refused first when memory runs short, such as DEBUG@80%,INFO@95%"`
}

// DefaultConfig is the contract's.
func DefaultConfig() Config {
	return Config{
		MaxBodyBytes: 10 << 20, MaxPacketMessages: 10_000, MemoryBytes: 256 << 20, AckTimeout: 10 * time.Second,
		MaxConnections: 1 << 15, DrainDelay: time.Second,
	}
}

// Dependencies is what a Handler is given. The functions are called for
// requests, from many goroutines.
type Dependencies struct {
	Journal    Journal
	Pool       *packet.Pool
	Registerer prometheus.Registerer
	// Accepting tells whether accepted packets have somewhere to go; if not,
	// requests are refused with NoAnalyzer.
	Accepting func() bool
	// RetryAfter estimates when a request that is refused with that code may
	// be taken.
	RetryAfter func(problem.Code) time.Duration
	// Utilization is the part of the room that is in use, 0…1; needed for Shed.
	Utilization func() float64
	// Duplicates recognises packets that come again; nil for none.
	Duplicates *dedupe.Window
	// Limiter bounds each emitter's rate; nil for none.
	Limiter *ratelimit.Limiter
	Logger  *slog.Logger
}

// Handler answers POST /ingest. It may be used concurrently.
type Handler struct {
	config    Config
	deps      Dependencies
	metrics   *metrics
	bodies    *bodyReader
	batches   sync.Pool // of *lineBatch
	responses sync.Pool // of *Response

	refusedEmitters *refusedEmitters
	// what emitters were told by refusals, see WaitsGiven
	waitsForRoom, waitsForDisk longest

	draining atomic.Bool
}

// New returns a handler.
func New(config Config, deps Dependencies) (*Handler, error) {
	m, err := newMetrics(deps.Registerer, deps.Duplicates)
	if err != nil {
		return nil, err
	}
	bodies, err := newBodyReader(config, deps.Journal, deps.Pool)
	if err != nil {
		return nil, err
	}
	return &Handler{
		config: config, deps: deps, metrics: m, bodies: bodies, refusedEmitters: newRefusedEmitters(deps.Logger),
		batches:   sync.Pool{New: func() any { return new(lineBatch) }},
		responses: sync.Pool{New: func() any { return new(Response) }},
	}, nil
}

// Drain makes all further requests be refused: the service is shutting down.
func (h *Handler) Drain() { h.draining.Store(true) }

// readyBytes is what a packet takes of which Ready says that it would be taken.
const readyBytes = 4 << 10

// Ready returns nil when a packet would be taken now, and otherwise the reason.
func (h *Handler) Ready() *problem.Problem {
	if code := h.admit(readyBytes); code != "" {
		return notNow(code)
	}
	return nil
}

// Handle answers a request of packets.
func (h *Handler) Handle(r *Request, to *Response) {
	if r.Method != http.MethodPost {
		h.refuse(to, problem.Problem{Code: problem.MethodNotAllowed, Detail: "packets are sent with POST"})
		to.allow = http.MethodPost
		return
	}
	how, fault := h.submissionOf(r)
	var body *packet.Packet
	if fault == nil {
		body, fault = h.receive(r)
	}
	if fault != nil {
		h.refuse(to, *fault)
	} else {
		h.answer(how, body, to)
	}
	h.metrics.duration.Observe(time.Since(r.started).Seconds())
}

// maxPooledBytes bounds what is kept of an answer's memory for another one.
const maxPooledBytes = 16 << 10

// keep keeps a response's memory for another, unless that is much.
func (h *Handler) keep(r *Response) {
	if cap(r.body) <= maxPooledBytes {
		h.responses.Put(r)
	}
}

// submission is what the head says of how to take the body.
type submission struct {
	kind        bodyKind
	ack         Ack
	traceparent string
}

func (h *Handler) submissionOf(r *Request) (submission, *problem.Problem) {
	ack, fault := h.ackOf(r)
	return submission{kind: kindOf(r.head.ContentType), ack: ack, traceparent: traceOf(r.head.Traceparent)}, fault
}

// closed tells why no packet is taken now, or nothing.
func (h *Handler) closed() problem.Code {
	switch {
	case h.draining.Load():
		return problem.Draining
	case !h.deps.Accepting():
		return problem.NoAnalyzer
	}
	return ""
}

// admit tells why a packet of that many bytes is not taken now, or nothing.
func (h *Handler) admit(bytes int) problem.Code {
	if code := h.closed(); code != "" {
		return code
	}
	return h.bodies.capacity(int64(bytes))
}

// receive reads the body, or tells why that is not done.
func (h *Handler) receive(r *Request) (*packet.Packet, *problem.Problem) {
	if r.head.Length > int64(h.config.MaxBodyBytes) {
		return nil, h.bodies.tooLarge()
	}
	if code := h.admit(r.length()); code != "" {
		return nil, notNow(code)
	}
	return h.bodies.read(r)
}

// answer answers a request whose body is here, and owns the body. It waits for
// whatever the answer tells.
func (h *Handler) answer(r submission, body *packet.Packet, to *Response) {
	if r.kind == packetLines {
		h.lines(r, body, to)
	} else {
		h.single(r, body, to)
	}
}

// single answers a request that is one packet.
func (h *Handler) single(r submission, body *packet.Packet, to *Response) {
	e := candidate{packet: h.bodies.fit(body)}
	fault := h.examine(&e, r.traceparent, time.Now())
	if fault == nil {
		fault = e.resolve()
	}
	switch {
	case fault != nil:
		h.refuse(to, *fault)
		h.bodies.drop(e.packet)
	case e.duplicate:
		h.metrics.duplicates.Inc()
		to.accept(e.packet, endOfDuplicate)
		h.bodies.drop(e.packet)
	default:
		h.store(&e, r.ack, to)
	}
}

// examine checks a packet and decides what can be decided without the journal.
func (h *Handler) examine(e *candidate, traceparent string, now time.Time) *problem.Problem {
	p := e.packet
	info, err := packet.Check(p.Body, h.config.MaxPacketMessages)
	if err != nil {
		why := refusalOf(err, p.Body)
		h.refusedEmitters.add(info.EmitterID, p.Body, &why, now)
		return &why
	}
	p.Info, p.Accepted, p.Traceparent = info, now, traceparent
	return h.screen(e)
}

// store hands a packet to the journal and waits for what is to be answered.
func (h *Handler) store(e *candidate, ack Ack, to *Response) {
	p, held := e.packet, e.packet.Footprint()
	// The journal owns the packet once it has taken it, so whatever the answer
	// needs of it is taken before.
	var d *delivery
	if ack == AckDelivered {
		d = &delivery{
			receipt: h.newReceipt(ack, 1),
			id:      string(p.PacketID.Raw(p.Body)), decodedID: string(p.PacketID.AppendDecoded(nil, p.Body)),
		}
		p.DeliveryChan = d.outcomes
	}
	to.accept(p, endOfAccepted)
	one := [1]*packet.Packet{p}
	if _, err := h.deps.Journal.Append(one[:]); err != nil {
		h.refuse(to, *h.rollback(e, err))
		h.bodies.drop(p)
		return
	}
	e.accept()
	h.bodies.free(held)
	if d != nil {
		d.answer(to)
	}
}

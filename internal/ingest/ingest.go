// Package ingest is the way in: it reads POST /ingest, has each packet checked,
// hands it to the journal and answers. It refuses before it reads what it need
// not read, it never waits for room, and whatever it refuses it names (see
// package problem). A 202 is sent only for what the journal has taken.
package ingest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"logstreamer/internal/dedupe"
	"logstreamer/internal/packet"
	"logstreamer/internal/problem"
	"logstreamer/internal/ratelimit"
)

// Journal takes packets; see journal.Journal.
type Journal interface {
	Put(packets []*packet.Packet) (taken int, err error)
	Room(bytes int) error
}

// Config is what users set.
type Config struct {
	// MaxBodyBytes bounds a request's body, decompressed.
	MaxBodyBytes int
	// MaxPacketMessages bounds one packet.
	MaxPacketMessages int
	// MemoryBytes bounds what requests that are being read hold together.
	MemoryBytes int64
	// Ack is when emitters are answered that do not say; empty is the
	// strongest that costs no waiting for analyzers. AckTimeout bounds
	// AckDelivered.
	Ack        Ack
	AckTimeout time.Duration
	// Stores tells that the journal is on stable storage, as AckStored needs.
	Stores bool
	// Shed is who is refused first when room gets scarce.
	Shed Shed
}

// DefaultConfig is the contract's.
func DefaultConfig() Config {
	return Config{MaxBodyBytes: 10 << 20, MaxPacketMessages: 10_000, MemoryBytes: 256 << 20, AckTimeout: 10 * time.Second}
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
	// Fullness is the part of the room that is in use, 0…1; needed for Shed.
	Fullness func() float64
	// Duplicates recognises packets that come again; nil for none.
	Duplicates *dedupe.Window
	// Limiter bounds each emitter's rate; nil for none.
	Limiter *ratelimit.Limiter
}

// Handler answers POST /ingest. It may be used concurrently.
type Handler struct {
	config  Config
	deps    Dependencies
	metrics *metrics
	bodies  *bodyReader
	batches sync.Pool // of *lineBatch

	draining atomic.Bool
}

// New returns a handler.
func New(config Config, deps Dependencies) (*Handler, error) {
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, err
	}
	bodies, err := newBodyReader(config, deps.Journal, deps.Pool)
	if err != nil {
		return nil, err
	}
	return &Handler{
		config: config, deps: deps, metrics: m, bodies: bodies,
		batches: sync.Pool{New: func() any { return new(lineBatch) }},
	}, nil
}

// Drain makes all further requests be refused: the service is shutting down.
func (h *Handler) Drain() { h.draining.Store(true) }

// Ready returns nil when a packet would be taken now, and otherwise the reason.
func (h *Handler) Ready() *problem.Problem {
	if code := h.admit(0); code != "" {
		return notNow(code)
	}
	return nil
}

// Handle answers one request.
func (h *Handler) Handle(ctx *fasthttp.RequestCtx) {
	if !ctx.IsPost() {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, fasthttp.MethodPost)
		h.refuse(ctx, problem.Problem{Code: problem.MethodNotAllowed, Detail: "packets are sent with POST"})
		return
	}
	ack, fault := h.ackOf(ctx)
	switch kind := contentType(ctx); {
	case fault != nil:
		h.refuse(ctx, *fault)
	case kind == singlePacket:
		h.single(ctx, ack)
	case kind == packetLines:
		h.lines(ctx, ack)
	default:
		h.refuse(ctx, problem.Problem{
			Code:   problem.UnsupportedMediaType,
			Detail: "send one packet as application/json, or many as application/x-ndjson",
		})
	}
	h.metrics.duration.Observe(time.Since(ctx.Time()).Seconds())
}

// admit tells why a packet of that many bytes is not taken now, or nothing.
func (h *Handler) admit(bytes int) problem.Code {
	switch {
	case h.draining.Load():
		return problem.Draining
	case !h.deps.Accepting():
		return problem.NoAnalyzer
	}
	if err := h.deps.Journal.Room(bytes + int(h.bodies.reading.Load())); err != nil {
		return codeOf(err)
	}
	return ""
}

// receive reads the body, or answers why that is not done.
func (h *Handler) receive(ctx *fasthttp.RequestCtx) (body *packet.Packet, ok bool) {
	if code := h.admit(max(ctx.Request.Header.ContentLength(), 0)); code != "" {
		h.refuse(ctx, *notNow(code))
		return nil, false
	}
	body, fault := h.bodies.read(ctx)
	if fault != nil {
		h.refuse(ctx, *fault)
		return nil, false
	}
	return body, true
}

// single answers a request that is one packet.
func (h *Handler) single(ctx *fasthttp.RequestCtx, ack Ack) {
	p, ok := h.receive(ctx)
	if !ok {
		return
	}
	p = h.bodies.fit(p)
	held := p.Footprint()
	d := h.take(ctx, p, ack)
	h.bodies.free(held)
	if d != nil {
		d.answer(ctx)
	}
}

// take checks a packet and hands it to the journal. It answers, unless the
// answer is about the delivery that it returns.
func (h *Handler) take(ctx *fasthttp.RequestCtx, p *packet.Packet, ack Ack) *delivery {
	info, err := packet.Check(p.Body, h.config.MaxPacketMessages)
	if err != nil {
		h.refuse(ctx, refusalOf(err, p.Body))
		p.Release()
		return nil
	}
	p.Info, p.Accepted, p.Traceparent = info, time.Now(), traceOf(ctx)
	e := entrant{packet: p}
	fault := h.screen(&e)
	if fault == nil {
		fault = e.resolve()
	}
	switch {
	case fault != nil:
		h.refuse(ctx, *fault)
		p.Release()
	case e.duplicate:
		h.metrics.duplicates.Inc()
		answerAccepted(ctx, p, `","duplicate":true}`)
		p.Release()
	default:
		return h.store(ctx, &e, ack)
	}
	return nil
}

// store hands a packet to the journal, as take does.
func (h *Handler) store(ctx *fasthttp.RequestCtx, e *entrant, ack Ack) *delivery {
	p := e.packet
	// The journal owns the packet once it has taken it, so whatever the answer
	// needs of it is taken before.
	var d *delivery
	if ack == AckDelivered {
		d = &delivery{
			receipt: h.newReceipt(ack, 1),
			id:      string(p.PacketID.Raw(p.Body)), decodedID: string(p.PacketID.AppendDecoded(nil, p.Body)),
		}
		p.Receipt = d.outcomes
	}
	answerAccepted(ctx, p, `"}`)
	one := [1]*packet.Packet{p}
	if _, err := h.deps.Journal.Put(one[:]); err != nil {
		h.refuse(ctx, *h.turnedDown(e, err))
		p.Release()
		return nil
	}
	e.accept()
	return d
}

func answerAccepted(ctx *fasthttp.RequestCtx, p *packet.Packet, end string) {
	accept(ctx)
	ctx.Response.AppendBodyString(`{"status":"accepted","packet_id":"`)
	ctx.Response.AppendBody(p.PacketID.Raw(p.Body))
	ctx.Response.AppendBodyString(end)
}

// traceOf returns the request's trace header, if it is one.
func traceOf(ctx *fasthttp.RequestCtx) string {
	if trace := ctx.Request.Header.Peek("Traceparent"); isTrace(trace) {
		return string(trace)
	}
	return ""
}

func accept(ctx *fasthttp.RequestCtx) {
	ctx.Response.SetStatusCode(fasthttp.StatusAccepted)
	ctx.Response.Header.SetContentType("application/json")
}

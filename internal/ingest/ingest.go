// Package ingest is the way in: it reads POST /ingest, has each packet checked,
// hands it to the journal and answers. It refuses before it reads what it need
// not read, it never waits for room, and whatever it refuses it names (see
// package problem). A 202 is sent only for what the journal has taken.
package ingest

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"logstreamer/internal/packet"
	"logstreamer/internal/problem"
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
}

// DefaultConfig is the contract's.
func DefaultConfig() Config {
	return Config{MaxBodyBytes: 10 << 20, MaxPacketMessages: 10_000}
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
}

// Handler answers POST /ingest. It may be used concurrently.
type Handler struct {
	config  Config
	deps    Dependencies
	metrics *metrics
	bodies  bodyReader

	draining atomic.Bool
}

// New returns a handler.
func New(config Config, deps Dependencies) (*Handler, error) {
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, err
	}
	return &Handler{config: config, deps: deps, metrics: m, bodies: newBodyReader(config.MaxBodyBytes)}, nil
}

// Drain makes all further requests be refused: the service is shutting down.
func (h *Handler) Drain() { h.draining.Store(true) }

// Ready returns nil when a packet would be taken now, and otherwise the reason.
func (h *Handler) Ready() *problem.Problem {
	if code := h.admit(0); code != "" {
		return &problem.Problem{Code: code, Detail: details[code]}
	}
	return nil
}

// Handle answers one request.
func (h *Handler) Handle(ctx *fasthttp.RequestCtx) {
	start := ctx.Time()
	if !ctx.IsPost() {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, fasthttp.MethodPost)
		h.refuse(ctx, problem.Problem{Code: problem.MethodNotAllowed, Detail: "packets are sent with POST"}, 1)
		return
	}
	switch kind := contentType(ctx); kind {
	case singlePacket:
		h.single(ctx)
	case packetLines:
		h.lines(ctx)
	default:
		h.refuse(ctx, problem.Problem{
			Code:   problem.UnsupportedMediaType,
			Detail: "send one packet as application/json, or many as application/x-ndjson",
		}, 1)
	}
	h.metrics.duration.Observe(time.Since(start).Seconds())
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

// single answers a request that is one packet.
func (h *Handler) single(ctx *fasthttp.RequestCtx) {
	p, fault := h.readPacket(ctx)
	if fault != nil {
		h.refuse(ctx, *fault, 1)
		return
	}
	info, err := packet.Check(p.Body, h.config.MaxPacketMessages)
	if err != nil {
		h.refuse(ctx, refusalOf(err, p.Body), 1)
		p.Release()
		return
	}
	p.Info = info
	h.stamp(ctx, p)
	// The journal owns the packet once it has taken it, so the answer is
	// written first.
	ctx.Response.AppendBodyString(`{"status":"accepted","packet_id":"`)
	ctx.Response.AppendBody(p.PacketID.Raw(p.Body))
	ctx.Response.AppendBodyString(`"}`)
	one := [1]*packet.Packet{p}
	if _, err := h.deps.Journal.Put(one[:]); err != nil {
		code := codeOf(err)
		h.refuse(ctx, problem.Problem{
			Code: code, Detail: details[code], PacketID: string(p.PacketID.AppendDecoded(nil, p.Body)),
		}, 1)
		p.Release()
		return
	}
	h.accept(ctx)
}

// readPacket reads the body into a packet of its size.
func (h *Handler) readPacket(ctx *fasthttp.RequestCtx) (*packet.Packet, *problem.Problem) {
	length := ctx.Request.Header.ContentLength()
	if code := h.admit(max(length, 0)); code != "" {
		return nil, &problem.Problem{Code: code, Detail: details[code]}
	}
	if length >= 0 && length <= h.config.MaxBodyBytes && len(ctx.Request.Header.ContentEncoding()) == 0 {
		p := h.deps.Pool.Lend(length)
		var fault *problem.Problem
		if p.Body, fault = h.bodies.readExactly(ctx, p.Body[:length]); fault != nil {
			p.Release()
			return nil, fault
		}
		return p, nil
	}
	body, fault := h.bodies.read(ctx)
	if fault != nil {
		return nil, fault
	}
	defer h.bodies.release(body)
	return h.deps.Pool.New(body.bytes, packet.Info{}), nil
}

// stamp notes what of the request belongs to its packets.
func (h *Handler) stamp(ctx *fasthttp.RequestCtx, p *packet.Packet) {
	p.Accepted = ctx.Time()
	if trace := ctx.Request.Header.Peek("Traceparent"); isTrace(trace) {
		p.Traceparent = string(trace)
	}
}

// isTrace tells whether a header has the form of a W3C traceparent, so that
// nothing else is passed on.
func isTrace(header []byte) bool {
	if len(header) != 55 {
		return false
	}
	for i, c := range header {
		dash := i == 2 || i == 35 || i == 52
		hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return false
		}
	}
	return true
}

func (h *Handler) accept(ctx *fasthttp.RequestCtx) {
	ctx.Response.SetStatusCode(fasthttp.StatusAccepted)
	ctx.Response.Header.SetContentType("application/json")
}

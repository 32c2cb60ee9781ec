// Package native implements the service's own protocol: POST /ingest with a packet as JSON, or with
// packets as lines of NDJSON. It checks packets, passes them to the intake and answers with the
// results, refusals as problem documents (package problem). It refuses malformed requests; all
// other decisions are the intake's.
package native

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
	"github.com/logstreamer/logstreamer/internal/server"
)

// Path is where packets are sent.
const Path = "/ingest"

// Config holds the user settings; the tags are those of package config.
type Config struct {
	// MaxBodyBytes bounds a request's body, decompressed.
	MaxBodyBytes int `env:"MAX_BODY_BYTES" format:"bytes" min:"1" max:"1073741824" reload:"live" help:"maximum decompressed size of a request in bytes, such as 10MiB"`
	// MaxPacketMessages bounds one packet.
	MaxPacketMessages int `env:"MAX_PACKET_MESSAGES" min:"1" max:"262144" reload:"live" help:"maximum messages per packet"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{MaxBodyBytes: 10 << 20, MaxPacketMessages: 10_000} }

// Protocol answers requests. It implements server.Protocol, and may be used
// concurrently.
type Protocol struct {
	config   atomic.Pointer[Config] // see Configure
	intake   *intake.Intake
	memory   *intake.Memory // of intake
	auth     *authenticator // nil: all clients may send packets
	bodies   *body.Reader
	duration prometheus.Histogram
	batches  sync.Pool // of *batch
}

// New returns a Protocol and registers its metrics. Tokens, unless nil, returns the
// principals that may send packets; it is called concurrently.
func New(config Config, in *intake.Intake, tokens func() *credential.Set, registerer prometheus.Registerer) (*Protocol, error) {
	r := metric.On(registerer)
	duration := r.Histogram("distributor_ingest_duration_seconds", "From the arrival of a request's header to its answer.",
		[]float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5})
	if err := r.Err(); err != nil {
		return nil, err
	}
	bodies, err := body.NewReader(body.NativeCodings, config.MaxBodyBytes, in.Memory())
	if err != nil {
		return nil, err
	}
	p := &Protocol{
		intake: in, memory: in.Memory(), auth: newAuthenticator(tokens), bodies: bodies, duration: duration,
		batches: sync.Pool{New: func() any { return &batch{intake: in.NewBatch()} }},
	}
	p.config.Store(&config)
	return p, nil
}

// Configure replaces the settings, for requests that come later, after those of the intake.
func (p *Protocol) Configure(next Config) {
	p.config.Store(&next)
	p.bodies.Configure(next.MaxBodyBytes)
}

// ack returns the level of acknowledgement for requests without one.
func (p *Protocol) ack() intake.Ack { return p.intake.Config().Ack }

// readyBytes is the size of the packet whose capacity Ready checks.
const readyBytes = 4 << 10

// Ready returns nil if a packet would be accepted now, and otherwise the reason.
func (p *Protocol) Ready() *problem.Problem {
	if reason := p.intake.Admit(readyBytes); reason != "" {
		return body.Unavailable(reason)
	}
	return nil
}

// Handle answers a request for Path.
func (p *Protocol) Handle(r *server.Request, to *http1.Response) {
	if r.Method != http.MethodPost {
		p.Refuse(to, problem.Problem{Code: problem.MethodNotAllowed, Detail: "packets are sent with POST"}, http.MethodPost)
		return
	}
	principal, ok := p.authenticate(r, to)
	if !ok {
		return
	}
	how, fault := p.submissionOf(r)
	how.principal = principal
	var received *packet.Packet
	if fault == nil {
		received, fault = p.receive(r)
	}
	if fault != nil {
		p.refuse(to, *fault)
	} else {
		p.answer(&how, received, to)
	}
	p.duration.Observe(time.Since(r.Started).Seconds())
}

// submission has the properties of a request that decide how its body is handled.
type submission struct {
	kind        bodyKind
	ack         intake.Ack
	traceparent string
	principal   *credential.Principal // nil without authentication
	emitterID   string                // of the header Emitter-Id; empty: none
}

func (p *Protocol) submissionOf(r *server.Request) (submission, *problem.Problem) {
	ack, fault := p.ackOf(r)
	how := submission{kind: kindOf(r.Head.ContentType), ack: ack, traceparent: traceOf(r.Head.Traceparent), emitterID: string(r.Head.EmitterID)}
	if fault == nil && isEmptyEmitterID(r.Head) {
		fault = &problem.Problem{Code: problem.Malformed, Detail: "the header Emitter-Id is empty: it must be the emitter_id of the request's packets"}
	}
	return how, fault
}

// ackOf returns the level that a request asks for with ?ack=, or the default.
func (p *Protocol) ackOf(r *server.Request) (intake.Ack, *problem.Problem) {
	asked, given := r.Parameter("ack")
	if !given {
		return p.ack(), nil
	}
	if !slices.Contains(intake.Acks(), asked) {
		return "", &problem.Problem{Code: problem.Malformed, Detail: fmt.Sprintf("?ack=%s: it must be one of %s", asked, strings.Join(intake.Acks(), ", "))}
	}
	if intake.Ack(asked) == intake.AckStored && !p.intake.Config().Stores {
		return "", &problem.Problem{Code: problem.Malformed, Detail: "?ack=stored cannot be promised: the journal is in memory (JOURNAL=memory)"}
	}
	return intake.Ack(asked), nil
}

// receive reads the body, or returns why it cannot be read.
func (p *Protocol) receive(r *server.Request) (*packet.Packet, *problem.Problem) {
	if fault := p.bodies.CheckLength(r.Length()); fault != nil {
		return nil, fault
	}
	if reason := p.intake.Admit(int(r.Length())); reason != "" {
		return nil, body.Unavailable(reason)
	}
	return p.bodies.Read(r)
}

// answer answers a request whose body has arrived, and owns the body. It waits for the commit or
// the delivery if the response depends on it.
func (p *Protocol) answer(how *submission, received *packet.Packet, to *http1.Response) {
	if how.kind == packetLines {
		p.lines(how, received, to)
		return
	}
	c := candidateOf(how.principal, p.memory.Fit(received, 0))
	if !p.examine(how, &c, time.Now(), to) {
		p.store(&c, how.ack, to)
	}
}

// candidateOf returns the candidate of a packet that a principal sends.
func candidateOf(principal *credential.Principal, received *packet.Packet) intake.Candidate {
	if principal == nil {
		return intake.Candidate{Packet: received}
	}
	received.Principal = principal.Name
	return intake.Candidate{Packet: received, Principal: principal.Name, Rate: principal.Rate}
}

// examine checks a packet. If the check decides the result, examine answers and drops the packet.
func (p *Protocol) examine(how *submission, c *intake.Candidate, now time.Time, to *http1.Response) (decided bool) {
	received := c.Packet
	info, why := p.check(how, received.Body, now)
	if why != nil {
		p.refuse(to, *why)
		p.memory.Drop(received)
		return true
	}
	received.Info, received.Accepted, received.Traceparent = info, now, how.traceparent
	switch result := p.intake.Screen(c); result.Outcome {
	case intake.Undecided:
		return false
	case intake.Duplicate:
		accept(to, received, endOfDuplicate)
	default:
		p.answerRefusal(to, result.Refusal)
	}
	p.memory.Drop(received)
	return true
}

// store submits one packet and answers.
func (p *Protocol) store(c *intake.Candidate, ack intake.Ack, to *http1.Response) {
	b := p.batches.Get().(*batch)
	defer p.release(b)
	// The journal owns the packet once it has taken it, so the response is written before.
	accept(to, c.Packet, endOfAccepted)
	var id string
	if ack == intake.AckDelivered {
		id = string(c.Packet.PacketID.AppendDecoded(nil, c.Packet.Body))
	}
	b.intake.Add(c)
	switch result := b.intake.Accept(ack)[0]; result.Outcome {
	case intake.Refused:
		p.answerRefusal(to, result.Refusal)
	case intake.Duplicate:
		to.Body = append(to.Body[:len(to.Body)-len(endOfAccepted)], endOfDuplicate...)
	default:
		if b.intake.AwaitsDelivery() {
			p.answerDelivery(b.intake.AwaitDeliveries(context.Background()), id, to)
		}
	}
}

// The beginning and the end of a response that accepts a packet.
const (
	startOfAccepted  = `{"status":"accepted","packet_id":"`
	startOfDelivered = `{"status":"delivered","packet_id":"`
	endOfAccepted    = `"}`
	endOfDuplicate   = `","duplicate":true}`
)

// accept answers that a packet is accepted. The response shares no memory with the packet.
func accept(to *http1.Response, received *packet.Packet, end string) {
	text := append(to.Body[:0], startOfAccepted...)
	text = append(text, received.PacketID.Raw(received.Body)...)
	to.SetJSON(http.StatusAccepted, append(text, end...))
}

// answerDelivery answers with the delivery of a packet; to already says that it is accepted.
func (p *Protocol) answerDelivery(deliveries []packet.DeliveryResult, id string, to *http1.Response) {
	switch {
	case len(deliveries) == 0:
		problem.Respond(to, problem.Problem{
			Code: problem.AckTimeout, PacketID: id,
			Detail: fmt.Sprintf("it is not known to be delivered after %v; it remains accepted and need not be sent again", p.intake.Config().AckTimeout),
		})
	case deliveries[0].Rejection != "":
		problem.Respond(to, problem.Problem{
			Code: problem.DeadLettered, PacketID: id,
			Detail: fmt.Sprintf("%s refused it for good: %s", deliveries[0].Analyzer, deliveries[0].Rejection),
		})
	default:
		raw := to.Body[len(startOfAccepted) : len(to.Body)-len(endOfAccepted)]
		text := append([]byte(startOfDelivered), raw...)
		text = append(text, `","analyzer":`...)
		text = problem.AppendQuoted(text, deliveries[0].Analyzer)
		to.SetJSON(http.StatusOK, append(text, '}'))
	}
}

// rejection returns the refusal of a packet that packet.Check did not accept.
func (p *Protocol) rejection(err error, info packet.Info, text []byte, now time.Time) problem.Problem {
	why := problem.Problem{Code: problem.Malformed, Detail: err.Error()}
	var refusal *packet.Refusal
	if errors.As(err, &refusal) {
		why.Code, why.PacketID = problem.Code(refusal.Code), string(refusal.PacketID.AppendDecoded(nil, text))
	}
	p.noteRefused(info, text, &why, now)
	return why
}

// noteRefused counts a refused packet for its emitter.
func (p *Protocol) noteRefused(info packet.Info, text []byte, why *problem.Problem, now time.Time) {
	p.intake.RecordRefused(info.EmitterID, text, intake.RefusedPacket{Reason: string(why.Code), Detail: why.Detail, PacketID: why.PacketID}, now)
}

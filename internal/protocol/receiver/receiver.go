// Package receiver is the common part of other systems' protocols on the way into the intake: it
// authenticates senders, reads bodies, submits packets and counts. A protocol translates requests
// into packets (package record), and the problems of this package into its own refusals.
package receiver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// HTTP is a protocol over HTTP. It is used concurrently.
type HTTP interface {
	// Handle answers a request, or reports that the path does not belong to the protocol.
	Handle(r *server.Request, to *http1.Response) (handled bool)
}

// Config holds the user settings; the tags are those of package config.
type Config struct {
	// MaxBodyBytes bounds a request's body, decompressed.
	MaxBodyBytes int `env:"INPUT_MAX_BODY_BYTES" format:"bytes" min:"1" max:"1073741824" reload:"live" help:"maximum decompressed size of a request of the protocols in INPUTS in bytes, such as 64MiB"`
}

// DefaultConfig returns the defaults: OTLP recommends 64 MiB.
func DefaultConfig() Config { return Config{MaxBodyBytes: 64 << 20} }

// Dependencies are what receivers use. The functions are called concurrently.
type Dependencies struct {
	Intake *intake.Intake
	// Tokens, unless nil, returns the principals that may send packets.
	Tokens func() *credential.Set
	// Limits returns the limits of packets.
	Limits func() record.Limits
	// KeepsOrigins, unless nil, reports whether packets keep their origins; see packet.Packet.
	KeepsOrigins func() bool
	// DefersBodies, unless nil, reports whether packets that have their origins are to be deferred,
	// in memory only; see packet.Packet.Defer.
	DefersBodies func() bool
	// InMemory means that no packet outlives the process.
	InMemory bool
	// Metrics counts by input.
	Metrics *Metrics
	Logger  *slog.Logger
}

// Service makes receivers. It may be used concurrently.
type Service struct {
	deps     Dependencies
	bodies   *body.Reader
	failures *credential.Failures
	boot     string          // identifies the process
	noWait   context.Context // has ended
	sequence atomic.Uint64
}

// NewService returns a Service.
func NewService(config Config, deps Dependencies) (*Service, error) {
	bodies, err := body.NewReader(body.AllCodings, config.MaxBodyBytes, deps.Intake.Memory())
	if err != nil {
		return nil, err
	}
	var boot [8]byte
	_, _ = rand.Read(boot[:]) // never fails
	noWait, cancel := context.WithCancel(context.Background())
	cancel()
	return &Service{
		deps: deps, bodies: bodies, failures: credential.NewFailures(), boot: hex.EncodeToString(boot[:]), noWait: noWait,
	}, nil
}

// Configure replaces the settings for later requests. It must be called after the Configure of the
// intake.
func (s *Service) Configure(next Config) { s.bodies.Configure(next.MaxBodyBytes) }

// Receiver is the way into the intake of one input. It may be used concurrently.
type Receiver struct {
	service  *Service
	protocol string
	counters counters
	logger   *slog.Logger
}

// Receiver returns the receiver of an input. The ids of its packets begin with the protocol.
func (s *Service) Receiver(input, protocol string) *Receiver {
	return &Receiver{service: s, protocol: protocol, counters: s.deps.Metrics.of(input), logger: s.deps.Logger.With("input", input)}
}

// Sender is the sender of a request.
type Sender struct {
	// Principal is nil without authentication.
	Principal *credential.Principal
	Client    netip.Addr
}

// name returns the name of the principal, or "".
func (s Sender) name() string {
	if s.Principal == nil {
		return ""
	}
	return s.Principal.Name
}

// WithCapacityTimeout returns a context for Read and Accept that ends when a request has waited for
// capacity long enough.
func WithCapacityTimeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), intake.CapacityTimeout)
}

// Read reads and decodes the body of a request as soon as there is capacity for it, or returns when
// ctx ends. The caller owns the packet, of which only Body is set, and releases it with Release.
func (r *Receiver) Read(ctx context.Context, request *server.Request) (*packet.Packet, *problem.Problem) {
	return r.read(ctx, request.Length(), func() (*packet.Packet, *problem.Problem) { return r.service.bodies.Read(request) })
}

// ReadMessage is Read for a message of known length at the beginning of stream, in a coding unless
// coding is empty.
func (r *Receiver) ReadMessage(ctx context.Context, from Sender, stream io.Reader, length int, coding string) (*packet.Packet, *problem.Problem) {
	return r.read(ctx, int64(length), func() (*packet.Packet, *problem.Problem) {
		return r.service.bodies.ReadMessage(from.Client, stream, length, coding)
	})
}

func (r *Receiver) read(ctx context.Context, length int64, read func() (*packet.Packet, *problem.Problem)) (*packet.Packet, *problem.Problem) {
	if fault := r.service.bodies.CheckLength(length); fault != nil {
		return nil, r.Refuse(*fault)
	}
	if reason := r.service.deps.Intake.AwaitCapacity(ctx, int(length)); reason != "" {
		return nil, r.Refuse(*body.Unavailable(reason))
	}
	received, fault := read()
	if fault != nil {
		return nil, r.Refuse(*fault)
	}
	return received, nil
}

// Unreadable refuses a request that cannot be read.
func (r *Receiver) Unreadable(err error) *problem.Problem { return r.Refuse(*body.Unreadable(err)) }

// DecodeBlock decodes a snappy block that arrived without a Content-Encoding. The caller owns the
// packet as with Read.
func (r *Receiver) DecodeBlock(encoded []byte) (*packet.Packet, *problem.Problem) {
	decoded, fault := r.service.bodies.DecodeBlock(encoded)
	if fault != nil {
		return nil, r.Refuse(*fault)
	}
	return decoded, nil
}

// Release releases a packet of Read, Lend or DecodeBlock, and of the methods Lend and Enlarge of
// packets.
func (r *Receiver) Release(body *packet.Packet) { r.service.deps.Intake.Memory().Drop(body) }

// Share releases a body as soon as the packets that have origins in it do not need it any more, and
// the returned function was called, after Accept.
func (r *Receiver) Share(body *packet.Packet, packets *record.Packets) (accepted func()) {
	if keeps := r.service.deps.KeepsOrigins; keeps != nil && packets.HasOrigin() && keeps() {
		if shared := r.service.deps.Intake.Memory().ShareOrigins(body); shared != nil {
			packets.Origins(shared)
			return shared.Close
		}
	}
	r.Release(body)
	return func() {}
}

// DefersBodies reports whether packets are to be deferred.
func (r *Receiver) DefersBodies() bool {
	defers := r.service.deps.DefersBodies
	return r.service.deps.InMemory && defers != nil && defers()
}

// Defer makes deferred packets of packets that were measured, as Packets.Defer and Share do. If it
// reports false, the caller still owns the body and the packets, and must drop the packets.
func (r *Receiver) Defer(body *packet.Packet, packets *record.Packets, id ID, translate packet.Translate) (accepted func(), deferred bool) {
	if !packets.Defer(id.Text, translate) {
		return nil, false
	}
	shared := r.service.deps.Intake.Memory().ShareOrigins(body)
	if shared == nil {
		return nil, false
	}
	packets.Origins(shared)
	return shared.Close, true
}

// NewPackets returns an empty collection of packets for a request whose body, unless nil, is held
// meanwhile. The collection waits for memory until ctx ends.
func (r *Receiver) NewPackets(ctx context.Context, body *packet.Packet) *record.Packets {
	packets := record.NewPackets(ctx, r.service.deps.Intake, r.service.deps.Limits())
	if body != nil {
		packets.Beside(body.Footprint())
	}
	return packets
}

// Accept submits packets, all or none unless they are more than the maximum of the journal, with
// the default level of acknowledgement; the intake owns them. The id is a SequenceID, or the
// ContentID of the whole request. Accept returns why the packets are not accepted, or nil. It waits
// for capacity until ctx ends.
func (r *Receiver) Accept(ctx context.Context, from Sender, packets *record.Packets, id ID) *problem.Problem {
	return r.AcceptContent(ctx, from, packets, id, r.ContentOf(id))
}

// ContentOf returns the content, for AcceptContent, of packets whose id is the ContentID of the
// whole request: the id itself, so that their bodies need not be hashed. A packet that a journal on
// disk returned has lost its content, so that a lookup would not find it when it becomes a dead
// letter.
func (r *Receiver) ContentOf(id ID) string {
	if r.service.deps.InMemory {
		return id.Text
	}
	return ""
}

// AcceptContent is Accept for packets with any id and a content; see packet.Packet.
func (r *Receiver) AcceptContent(ctx context.Context, from Sender, packets *record.Packets, id ID, content string) *problem.Problem {
	return r.finally(r.accept(ctx, ctx, from, packets, id, content), true)
}

// accept is AcceptContent that waits until parts ends for packets that are accepted in parts. The
// intake has counted the refusal.
func (r *Receiver) accept(ctx, parts context.Context, from Sender, packets *record.Packets, id ID, content string) *problem.Problem {
	if why := r.notAllowed(from, packets); why != nil {
		packets.Drop()
		r.service.deps.Intake.CountRefusal(string(why.Code))
		return why
	}
	records := packets.Messages()
	in := r.service.deps.Intake
	if !id.Repeatable {
		parts = nil
	}
	receipt := in.AcceptAll(ctx, parts, r.candidates(from, packets.Seal(id.Text), content), in.Config().Ack)
	if receipt.Refusal != nil {
		return r.refusedBy(receipt.Refusal)
	}
	r.counters.packets.Add(float64(receipt.Accepted))
	r.counters.duplicates.Add(float64(receipt.Duplicates))
	if receipt.Accepted > 0 {
		r.countRecords(packets, records)
	}
	if receipt.Undelivered > 0 {
		return &problem.Problem{
			Code: problem.AckTimeout, RetryAfter: 1,
			Detail: "the packets are accepted but not known to be delivered in time (ACK_TIMEOUT_MS); if they come again they are recognised",
		}
	}
	return nil
}

// countRecords counts the records of packets that are accepted, and those that were rejected.
func (r *Receiver) countRecords(packets *record.Packets, records int) {
	r.counters.records.Add(float64(records))
	r.counters.skewed.Add(float64(packets.Skewed))
	for code, rejected := range packets.Rejected {
		r.Reject(problem.Code(code), rejected)
	}
}

func (r *Receiver) candidates(from Sender, packets []*packet.Packet, content string) []intake.Candidate {
	now := time.Now()
	candidates := make([]intake.Candidate, len(packets))
	for n, p := range packets {
		p.Accepted, p.Content = now, content
		candidates[n] = intake.Candidate{Packet: p}
		if from.Principal != nil {
			p.Principal = from.Principal.Name
			candidates[n].Principal, candidates[n].Rate = from.Principal.Name, from.Principal.Rate
		}
	}
	return candidates
}

// notAllowed returns why a principal may not send packets, or nil.
func (r *Receiver) notAllowed(from Sender, packets *record.Packets) *problem.Problem {
	if from.Principal == nil {
		return nil
	}
	for emitter := range packets.Emitters() {
		if !from.Principal.AllowsEmitter(emitter) {
			return &problem.Problem{Code: problem.EmitterNotAllowed, Detail: "the token of " + from.Principal.Name + " does not allow the emitter_id " + string(emitter)}
		}
	}
	return nil
}

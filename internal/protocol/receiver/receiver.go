// Package receiver is what the protocols of other systems share on the way into the intake: it
// authenticates senders, reads bodies, has packets accepted and counts. A protocol translates
// requests into packets (package record), and the problems of this package into refusals of
// its own.
package receiver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
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
	// Handle answers a request, or reports that the path is not one of the protocol.
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
	// Metrics counts by input.
	Metrics *Metrics
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

// Configure replaces the settings, for requests that come later, after those of the intake.
func (s *Service) Configure(next Config) { s.bodies.Configure(next.MaxBodyBytes) }

// MemoryLimit returns how many bytes all requests may hold.
func (r *Receiver) MemoryLimit() int64 { return r.service.deps.Intake.Memory().Limit() }

// Receiver is the way into the intake of one input. It may be used concurrently.
type Receiver struct {
	service  *Service
	protocol string
	counters counters
}

// Receiver returns the receiver of an input, whose protocol begins the ids of its packets.
func (s *Service) Receiver(input, protocol string) *Receiver {
	return &Receiver{service: s, protocol: protocol, counters: s.deps.Metrics.of(input)}
}

// Sender is who sends a request.
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

// WithRoom returns a context for Read and Accept that ends when a request has waited long
// enough for capacity.
func WithRoom() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), intake.RoomTimeout)
}

// Read reads and decodes the body of a request, once there is capacity for it or ctx ends. The
// caller owns the packet, of which only Body is set, and gives it back with Release.
func (r *Receiver) Read(ctx context.Context, request *server.Request) (*packet.Packet, *problem.Problem) {
	if fault := r.service.bodies.CheckLength(request.Length()); fault != nil {
		return nil, r.Refuse(*fault)
	}
	if reason := r.service.deps.Intake.AwaitRoom(ctx, int(request.Length())); reason != "" {
		return nil, r.Refuse(*body.Unavailable(reason))
	}
	received, fault := r.service.bodies.Read(request)
	if fault != nil {
		return nil, r.Refuse(*fault)
	}
	return received, nil
}

// ReadMessage is Read for a message of known length that stream begins with, in a coding unless
// that is empty.
func (r *Receiver) ReadMessage(ctx context.Context, from Sender, stream io.Reader, length int, coding string) (*packet.Packet, *problem.Problem) {
	if fault := r.service.bodies.CheckLength(int64(length)); fault != nil {
		return nil, r.Refuse(*fault)
	}
	if reason := r.service.deps.Intake.AwaitRoom(ctx, length); reason != "" {
		return nil, r.Refuse(*body.Unavailable(reason))
	}
	received, fault := r.service.bodies.ReadMessage(from.Client, stream, length, coding)
	if fault != nil {
		return nil, r.Refuse(*fault)
	}
	return received, nil
}

// Unreadable refuses a request that cannot be read.
func (r *Receiver) Unreadable(err error) *problem.Problem { return r.Refuse(*body.Unreadable(err)) }

// DecodeBlock decodes a snappy block that came without a Content-Encoding. The caller owns the
// packet as that of Read.
func (r *Receiver) DecodeBlock(encoded []byte) (*packet.Packet, *problem.Problem) {
	decoded, fault := r.service.bodies.DecodeBlock(encoded)
	if fault != nil {
		return nil, r.Refuse(*fault)
	}
	return decoded, nil
}

// LendWithRoom lends memory of that many bytes, once there is some or ctx ends. The caller gives it back
// with Release. The error is a record.UnavailableError.
func (r *Receiver) LendWithRoom(ctx context.Context, size int) (*packet.Packet, error) {
	lent, reason := r.service.deps.Intake.LendWithRoom(ctx, size)
	if reason != "" {
		return nil, record.UnavailableError(reason)
	}
	return lent, nil
}

// Enlarge returns a packet whose buffer has room for that many bytes behind the body of p, which
// may be nil: p itself, or one with more than twice the room, and then p is given back. It waits
// for memory until ctx ends; the error is a record.UnavailableError, and p is unchanged.
func (r *Receiver) Enlarge(ctx context.Context, p *packet.Packet, bytes int) (*packet.Packet, error) {
	length := 0
	if p != nil {
		if length = len(p.Body); cap(p.Body)-length >= bytes {
			return p, nil
		}
	}
	larger, reason := r.service.deps.Intake.LendWithRoom(ctx, 2*(length+bytes))
	if reason != "" {
		return p, record.UnavailableError(reason)
	}
	if p != nil {
		larger.Body = append(larger.Body, p.Body...)
		r.Release(p)
	}
	return larger, nil
}

// Release gives back what Read, Lend, LendWithRoom, Enlarge or DecodeBlock returned.
func (r *Receiver) Release(body *packet.Packet) { r.service.deps.Intake.Memory().Drop(body) }

// Share releases a body, at the latest when the packets that have origins in it do not need it
// any more, and the returned function was called, which is after Accept.
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

// NewPackets returns an empty collection of packets, of a request that waits for memory until
// ctx ends.
func (r *Receiver) NewPackets(ctx context.Context) *record.Packets {
	return record.NewPackets(ctx, r.service.deps.Intake, r.service.deps.Limits())
}

// Accept has packets accepted, all or none, with the default level of acknowledgement; the
// intake owns them. It returns why they are not accepted, or nil. It waits for capacity until
// ctx ends.
func (r *Receiver) Accept(ctx context.Context, from Sender, packets *record.Packets, id string) *problem.Problem {
	return r.AcceptContent(ctx, from, packets, id, nil)
}

// AcceptContent is Accept for records that have their times of arrival, of a request that is
// recognised nevertheless when it comes again: by the id and the content, unless that is nil.
func (r *Receiver) AcceptContent(ctx context.Context, from Sender, packets *record.Packets, id string, content []byte) *problem.Problem {
	if why := r.notAllowed(from, packets); why != nil {
		packets.Drop()
		return r.Refuse(*why)
	}
	records := packets.Messages()
	in := r.service.deps.Intake
	receipt := in.AcceptAll(ctx, r.candidates(from, packets.Seal(id), content), in.Config().Ack)
	switch {
	case receipt.Refusal != nil:
		return r.refusedBy(receipt.Refusal)
	case receipt.Undelivered > 0:
		return r.counted(problem.Problem{
			Code: problem.AckTimeout, RetryAfter: 1,
			Detail: "the packets are accepted but not known to be delivered in time (ACK_TIMEOUT_MS); if they come again they are recognised",
		})
	}
	r.counters.packets.Add(float64(receipt.Accepted))
	r.counters.duplicates.Add(float64(receipt.Duplicates))
	if receipt.Accepted > 0 {
		r.counters.records.Add(float64(records))
	}
	return nil
}

func (r *Receiver) candidates(from Sender, packets []*packet.Packet, content []byte) []intake.Candidate {
	now := time.Now()
	candidates := make([]intake.Candidate, len(packets))
	for n, p := range packets {
		p.Accepted = now
		candidates[n] = intake.Candidate{Packet: p, Content: content}
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

// Package intake admits the packets of all protocols. It decides which packets are accepted
// (draining, capacity, duplicates, shedding, rates), appends these to the journal and reports the
// result of each. A protocol translates requests into packets and results into its own responses.
//
// A packet is admitted in these steps:
//
//	Admit ──▶ Memory.Lend ──▶ Screen ──▶ Batch.Add ──▶ Batch.Accept, or Submit and Finish
//	AwaitCapacity ──▶ AwaitMemory ──▶ AcceptAll
//
// The second line is for protocols without a response that lists the refused packets.
// A packet counts as accepted only if the journal has taken it.
// An Intake may be used concurrently; a Batch belongs to one goroutine.
package intake

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
)

// Journal takes packets; see journal.Journal.
type Journal interface {
	Append(packets []*packet.Packet) (taken int, err error)
	AppendAll(packets []*packet.Packet) error
	AppendAsync(packets []*packet.Packet, w journal.Waiter) (taken int, pending bool, err error)
	CheckCapacity(bytes int) error
	Fits(bytes int) bool
}

// Config has the settings of an Intake; the tags are those of package config.
type Config struct {
	// MemoryBytes bounds the memory of all requests that are being read.
	MemoryBytes int64
	// Ack is the level of requests without one; empty is the strongest level that waits for no
	// analyzer. AckTimeout bounds AckDelivered.
	Ack        Ack           `env:"ACK" enum:"queued,stored,delivered" reload:"live" help:"default of ?ack=: queued, stored or delivered (default: queued, with JOURNAL=disk and jetstream stored)"`
	AckTimeout time.Duration `env:"ACK_TIMEOUT_MS" format:"milliseconds" min:">0" reload:"live" help:"timeout of ?ack=delivered in milliseconds"`
	// Mode is ModeOpen or ModePaused.
	Mode string `env:"INTAKE" enum:"open,paused" reload:"live" help:"open, or paused: packets are refused with 503 paused"`
	// Stores means that the journal is on stable storage, which AckStored needs.
	Stores bool
	// Shed determines which packets are refused first when capacity becomes scarce.
	Shed ShedThresholds `env:"SHED" reload:"live" help:"levels that are refused first when memory runs short, such as DEBUG@80%,INFO@95%"`
}

// The modes of the intake.
const (
	ModeOpen   = "open"
	ModePaused = "paused"
)

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Mode: ModeOpen, MemoryBytes: 256 << 20, AckTimeout: 10 * time.Second}
}

// Dependencies are the components that an Intake uses. The functions are called
// concurrently.
type Dependencies struct {
	Journal Journal
	Pool    *packet.Pool
	// ProtocolReasons are the reasons of refusals by protocols.
	ProtocolReasons []string
	// Accepting reports whether accepted packets can be routed or stored; if not, packets are
	// refused with NoAnalyzer.
	Accepting func() bool
	// RetryAfter estimates when a packet that is refused for a reason may be accepted.
	RetryAfter func(Reason) time.Duration
	// Utilization is the fraction of the capacity in use, 0 to 1; needed for Shed.
	Utilization func() float64
	// Duplicates recognises packets that were accepted before; nil: none are recognised.
	Duplicates *dedupe.Window
	// InputDuplicates is the same for AcceptAll; nil: none are recognised.
	InputDuplicates *dedupe.Window
	// Limiter bounds the rate of each emitter; nil: no rate is limited.
	Limiter *ratelimit.Limiter
	// OnRefusal, unless nil, is called with each refused packet whose emitter is known, and must
	// not retain it. For an invalid packet only the emitter may be known.
	OnRefusal func(info packet.Info, body []byte, why RefusedPacket)
	Logger    *slog.Logger
}

// Intake accepts packets. It may be used concurrently.
type Intake struct {
	config     atomic.Pointer[Config] // see Configure
	deps       Dependencies
	counters   *counters
	memory     Memory
	waiters    waiters
	principals *ratelimit.Limiter // of principals with a rate

	refusedEmitters *refusedEmitters
	unauthorized    unauthorizedClients
	// the longest waits returned by RetryAfter, see MaxRetryAfters
	capacityWait, diskWait maxWait

	draining atomic.Bool
}

// New returns an Intake.
func New(config Config, deps Dependencies) *Intake {
	i := &Intake{
		deps: deps, counters: newCounters(deps.ProtocolReasons), refusedEmitters: newRefusedEmitters(deps.Logger), unauthorized: unauthorizedClients{logger: deps.Logger},
		memory:     Memory{journal: deps.Journal, pool: deps.Pool},
		principals: ratelimit.New(ratelimit.Config{Rate: float64(principalTime), Burst: float64(principalTime)}),
	}
	i.Configure(config)
	return i
}

// Config returns the settings, which the caller must not change.
func (i *Intake) Config() *Config { return i.config.Load() }

// Configure replaces the settings, which apply to later packets.
func (i *Intake) Configure(next Config) {
	i.memory.limit.Store(next.MemoryBytes)
	i.config.Store(&next)
}

// Memory returns the memory of packets that are being read.
func (i *Intake) Memory() *Memory { return &i.memory }

// Drain makes the intake refuse all further packets, because the service is shutting down.
func (i *Intake) Drain() { i.draining.Store(true) }

// Resume revokes Drain.
func (i *Intake) Resume() { i.draining.Store(false) }

// Draining reports whether packets are refused because of Drain.
func (i *Intake) Draining() bool { return i.draining.Load() }

// Closed returns the reason why no packet is accepted now, or "".
func (i *Intake) Closed() Reason {
	switch {
	case i.draining.Load():
		return Draining
	case i.config.Load().Mode == ModePaused:
		return Paused
	case !i.deps.Accepting():
		return NoAnalyzer
	}
	return ""
}

// Admit returns the reason why packets of the given total size are not accepted now, or "". The
// reason is TooLarge if they can never be accepted. A protocol calls Admit before it reads a
// request.
func (i *Intake) Admit(bytes int) Reason {
	if reason := i.Closed(); reason != "" {
		return reason
	}
	return i.memory.final(i.memory.check(int64(bytes)), int64(bytes))
}

// Package intake is the door for packets, whatever protocol they come by. It decides
// which packets are accepted: draining, capacity, duplicates, shedding, rates; it
// appends accepted packets to the journal and reports what became of each. A protocol
// translates requests into packets and results into its own answers.
//
// A packet comes in by these steps:
//
//	Admit ──▶ Memory.Lend ──▶ Screen ──▶ Batch.Add ──▶ Batch.Accept, or Submit and Finish
//	AwaitRoom ──▶ LendWithRoom ──▶ AcceptAll
//
// The second line is for protocols whose clients cannot be told which packets are refused.
// A packet counts as accepted only if the journal has taken it.
package intake

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/config"
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
}

// Config holds the user settings; the tags are those of package config.
type Config struct {
	// MemoryBytes bounds what requests hold together that are being read.
	MemoryBytes int64
	// Ack is the level of requests that ask for none; empty is the strongest that
	// waits for no analyzer. AckTimeout bounds AckDelivered.
	Ack        Ack           `env:"ACK" enum:"queued,stored,delivered" reload:"live" help:"default of ?ack=: queued, stored or delivered (default: queued, with JOURNAL=disk and jetstream stored)"`
	AckTimeout time.Duration `env:"ACK_TIMEOUT_MS" format:"milliseconds" min:">0" reload:"live" help:"timeout of ?ack=delivered in milliseconds"`
	// Mode is ModeOpen or ModePaused.
	Mode string `env:"INTAKE" enum:"open,paused" reload:"live" help:"open, or paused: packets are refused with 503 paused"`
	// Stores means that the journal is on stable storage, which AckStored needs.
	Stores bool
	// Shed is which packets are refused first when capacity gets scarce.
	Shed ShedThresholds `env:"SHED" reload:"live" help:"levels that are refused first when memory runs short, such as DEBUG@80%,INFO@95%"`
}

// Whether packets are accepted.
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
	// ProtocolReasons are the reasons for which protocols refuse packets themselves.
	ProtocolReasons []string
	// Accepting reports whether accepted packets have somewhere to go; if not,
	// packets are refused with NoAnalyzer.
	Accepting func() bool
	// RetryAfter estimates when a packet that is refused for a reason may be accepted.
	RetryAfter func(Reason) time.Duration
	// Utilization is the part of the capacity in use, 0 to 1; needed for Shed.
	Utilization func() float64
	// Duplicates recognises packets that were accepted before; nil for none.
	Duplicates *dedupe.Window
	// InputDuplicates does so for AcceptAll; nil for none.
	InputDuplicates *dedupe.Window
	// Limiter bounds the rate of each emitter; nil for none.
	Limiter *ratelimit.Limiter
	// OnRefusal, unless nil, is called with each refused packet whose emitter is known,
	// and must not retain it. Of a packet that is invalid only the emitter may be known.
	OnRefusal func(info packet.Info, body []byte, why RefusedPacket)
	Logger    *slog.Logger
}

// Intake accepts packets. It may be used concurrently.
type Intake struct {
	config     atomic.Pointer[Config] // see Configure
	deps       Dependencies
	counters   *counters
	memory     Memory
	room       room
	principals *ratelimit.Limiter // of principals with a rate

	refusedEmitters *refusedEmitters
	// the longest waits returned by RetryAfter, see WaitsGiven
	capacityWait, diskWait maxWait

	draining atomic.Bool
}

// New returns an Intake.
func New(config Config, deps Dependencies) *Intake {
	i := &Intake{
		deps: deps, counters: newCounters(deps.ProtocolReasons), refusedEmitters: newRefusedEmitters(deps.Logger),
		memory:     Memory{journal: deps.Journal, pool: deps.Pool},
		principals: ratelimit.New(ratelimit.Config{Rate: float64(principalTime), Burst: float64(principalTime)}),
	}
	i.Configure(config)
	return i
}

// Config returns the settings, which the caller must not change.
func (i *Intake) Config() *Config { return i.config.Load() }

// CheckConfig returns an error if requests hold more than the configuration allows.
func (i *Intake) CheckConfig(next Config) error {
	if held := i.memory.Held(); held > next.MemoryBytes {
		return config.Refuse("MEMORY_LIMIT_BYTES", next.MemoryBytes, fmt.Sprintf("at least the %d bytes that requests take now", held), "MEMORY_LIMIT_BYTES is %d: requests take %d bytes now, it must be at least as many", next.MemoryBytes, held)
	}
	return nil
}

// Configure replaces the settings, for packets that come later.
func (i *Intake) Configure(next Config) {
	i.memory.limit.Store(next.MemoryBytes)
	i.config.Store(&next)
}

// Memory returns the memory of packets that are being read.
func (i *Intake) Memory() *Memory { return &i.memory }

// Drain makes all further packets be refused: the service is shutting down.
func (i *Intake) Drain() { i.draining.Store(true) }

// Resume revokes Drain.
func (i *Intake) Resume() { i.draining.Store(false) }

// Draining reports whether packets are refused because of Drain.
func (i *Intake) Draining() bool { return i.draining.Load() }

// Closed returns why no packet is accepted now, or "".
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

// Admit returns why packets of that many bytes together are not accepted now, or "".
// A protocol asks before it reads a request.
func (i *Intake) Admit(bytes int) Reason {
	if reason := i.Closed(); reason != "" {
		return reason
	}
	return i.memory.check(int64(bytes))
}

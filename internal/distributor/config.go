package distributor

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/logstreamer/logstreamer/internal/autoscale"
	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal/disk"
	"github.com/logstreamer/logstreamer/internal/journal/jetstream"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/protocol/elasticsearch"
	"github.com/logstreamer/logstreamer/internal/protocol/forward"
	"github.com/logstreamer/logstreamer/internal/protocol/native"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
	"github.com/logstreamer/logstreamer/internal/server"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Config has the settings of a distributor; the tags are those of package config.
type Config struct {
	Targets Targets `env:"ANALYZERS" reload:"live" help:"URL=weight,URL=weight,… of the analyzers, dns+http://name:port, srv+http://service or lease+http://name for a group; required"`
	// NameServer resolves groups of analyzers; empty means the name servers of the system.
	NameServer string `env:"DISCOVERY_DNS" help:"name server, host:port, that resolves the groups of ANALYZERS such as dns+http://analyzers:9001 (default: those of /etc/resolv.conf)"`
	// Port and Host are the listen address of the ingest API; port 0 is a free port.
	Port int `env:"PORT" format:"port" help:"port of the ingest API"`
	// MetricsListen is the listen address of /metrics, host:port.
	MetricsListen string `env:"METRICS_ADDR" help:"address of Prometheus' /metrics"`
	Host          string `env:"LISTEN_ADDR" format:"host" help:"address that the ingest API listens on, such as 127.0.0.1, without a port (default: all addresses)"`
	// TLS is the TLS of the ingest port.
	TLS certificate.Config
	// TokensFile has the principals that may send packets; empty allows all clients.
	TokensFile string `env:"INGEST_TOKENS_FILE" reload:"replace" help:"file of the tokens that may send packets, with lines such as: web sha256:HEX emitters=web-* rate=1000 (default: no token is needed)"`
	// AnalyzerTLS is the TLS of analyzers with https that have none of their own.
	AnalyzerTLS certificate.ClientConfig `prefix:"ANALYZER_"`
	// Memory bounds the bytes in memory, with either journal.
	Memory memory.Config
	// Native, Server and Intake configure the components that receive packets from emitters.
	Native native.Config
	Server server.Config
	Intake intake.Config
	// Inputs are the protocols of other systems, and Receiver has the settings that these protocols
	// share.
	Inputs   Inputs `env:"INPUTS" help:"protocols that are taken beside POST /ingest, each with an address of its own unless it is on PORT, such as http,forward=:24224"`
	Receiver receiver.Config
	// Elasticsearch has the values that the Elasticsearch input reports to its clients.
	Elasticsearch elasticsearch.Config
	Forward       forward.Config
	// Analyzer has the settings that are equal for all analyzers.
	Analyzer upstream.Config
	// Routing is RoutingAdaptive or RoutingStrict.
	Routing string `env:"ROUTING" enum:"adaptive,strict" reload:"live" help:"when an analyzer cannot take its share: adaptive (the others take its share) or strict (all wait for it)"`
	// Explain is ExplainOn or ExplainOff.
	Explain string `env:"EXPLAIN" enum:"on,off" help:"whether picks are recorded, so that they can be explained and traced: on or off"`
	// Dispatch is DispatchRunning or DispatchPaused.
	Dispatch string `env:"DISPATCH" enum:"running,paused" reload:"live" help:"running, or paused: no packet is routed, analyzers deliver what they hold"`
	// DrainTimeout is the maximum time in which an analyzer that is no longer listed delivers the
	// packets that it holds.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT_SEC" format:"seconds" min:"0" reload:"live" help:"seconds for which an analyzer that was removed, or whose URL changed, may deliver what it holds, before that is rerouted"`
	// LeaseTTL is the time for which an analyzer that registers itself stays without a renewal.
	LeaseTTL time.Duration `env:"LEASE_TTL_SEC" format:"seconds" min:"1s" max:"1h" reload:"live" help:"seconds after which the lease of an analyzer that registered itself lapses; analyzers renew it three times as often"`
	// Journal is JournalMemory, JournalDisk or JournalJetStream.
	Journal string `env:"JOURNAL" enum:"memory,disk,jetstream" help:"where accepted packets are stored: memory, disk (survives kill -9 and power loss), or jetstream (streams of NATS servers, which distributors share)"`
	// JetStream is the location of the streams, with JournalJetStream.
	JetStream jetstream.Config
	// JournalMaxBytes is the maximum size of the disk journal.
	JournalMaxBytes int64 `env:"JOURNAL_MAX_BYTES" format:"bytes" min:"1 MiB" reload:"live" help:"maximum size of the disk journal in bytes, such as 10GiB"`
	// DedupeWindow is the time for which a repeated packet is recognised; 0 is never, a negative
	// value the default of the journal.
	DedupeWindow time.Duration `env:"DEDUPE_WINDOW_SEC" format:"seconds" min:"0" auto:"true" help:"seconds in which duplicate packets are detected; 0 disables detection (default: 0, with JOURNAL=disk and jetstream 120)"`
	// Rate limits each emitter.
	Rate ratelimit.Config
	// DataDir is the directory of the disk journal and of dead letters.
	DataDir string `env:"DATA_DIR" help:"directory of the disk journal and the dead letters"`
	// ShutdownTimeout is the maximum time in which a stop delivers the accepted packets.
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT_SEC" format:"seconds" min:"0" reload:"live" help:"maximum seconds of a stop for the delivery of queued packets"`
	// Autoscale configures the desired number of analyzers, and the program that changes it.
	Autoscale autoscale.Config
	// Version is reported in metrics.
	Version string
}

// The behaviours when an analyzer cannot take its share of messages: the other analyzers get the
// packets, or all of them wait, so that packets are refused in the end.
const (
	RoutingAdaptive = "adaptive"
	RoutingStrict   = "strict"
)

// The settings of the recording of picks.
const (
	ExplainOn  = "on"
	ExplainOff = "off"
)

// The settings of the dispatch of packets.
const (
	DispatchRunning = "running"
	DispatchPaused  = "paused"
)

// The journals.
const (
	JournalMemory    = "memory"
	JournalDisk      = "disk"
	JournalJetStream = "jetstream"
)

// DefaultConfig returns the defaults of the contract; Targets must be set.
func DefaultConfig() Config {
	return Config{
		Port:            8080,
		MetricsListen:   ":9100",
		Analyzer:        upstream.DefaultConfig(),
		Server:          server.DefaultConfig(),
		Native:          native.DefaultConfig(),
		Intake:          intake.DefaultConfig(),
		Inputs:          Inputs{{Name: InputHTTP}},
		Receiver:        receiver.DefaultConfig(),
		Elasticsearch:   elasticsearch.DefaultConfig(),
		Memory:          memory.Config{QueuePackets: 10_000, LimitBytes: 256 << 20},
		Routing:         RoutingAdaptive,
		Explain:         ExplainOn,
		Dispatch:        DispatchRunning,
		DrainTimeout:    time.Minute,
		LeaseTTL:        30 * time.Second,
		Journal:         JournalMemory,
		JetStream:       jetstream.DefaultConfig(),
		Rate:            ratelimit.Config{Scope: ratelimit.ScopeDistributor},
		JournalMaxBytes: 10 << 30,
		DedupeWindow:    -1,
		DataDir:         "./data",
		ShutdownTimeout: 15 * time.Second,
		Autoscale:       autoscale.DefaultConfig(),
		Version:         "dev",
	}
}

// CheckDataDir returns the names of what cannot be kept in DATA_DIR, and the reason; nil if
// everything can be kept.
func (c Config) CheckDataDir() error {
	if err := datafile.CheckWritable(c.DataDir); err != nil {
		lost := "dead letters cannot be kept"
		switch c.Journal {
		case JournalJetStream:
			lost = "dead letters and the duplicate window cannot be kept"
		case JournalDisk:
			lost = "packets, dead letters and the duplicate window cannot be kept"
		}
		return fmt.Errorf("DATA_DIR %q: %s: %w", c.DataDir, lost, err)
	}
	return nil
}

// Validate checks combinations of settings and the analyzers, which the bounds in the tags cannot
// check. Errors have the environment names.
func (c Config) Validate() error {
	if len(c.Targets) == 0 {
		return config.Refuse("ANALYZERS", nil, "at least one analyzer",
			"ANALYZERS is required: URL=weight,URL=weight,…, such as http://analyzer-1:9001=0.5,http://analyzer-2:9002=0.5")
	}
	errs := []error{c.validateTargets(), c.validateAddresses(), c.validateInputs(), c.Elasticsearch.Validate(), c.Rate.Limits.Validate(), c.TLS.Validate(""), c.AnalyzerTLS.Validate("ANALYZER_"), c.Autoscale.Validate(c.Targets.groupCount())}
	if c.Journal == JournalJetStream {
		errs = append(errs, c.JetStream.Validate())
	}
	for _, rule := range []struct {
		name  string
		value any
		ok    bool
		want  string
	}{
		{"DISCOVERY_DNS", c.NameServer, c.NameServer == "" || validateAddress(c.NameServer) == nil, "host:port, such as 10.0.0.2:53"},
		{"DATA_DIR", c.DataDir, c.DataDir != "", "a directory"},
		{"ACK", c.Intake.Ack, c.Intake.Ack != intake.AckStored || c.stores(), "queued or delivered with JOURNAL=memory, which stores nothing"},
		{"RATE_BURST", c.Rate.Burst, c.Rate.Burst == 0 || c.Rate.Rate > 0, "0 without RATE_LIMIT"},
		{"RATE_LIMIT_SCOPE", c.Rate.Scope, c.Rate.Scope != ratelimit.ScopeCluster || c.Journal == JournalJetStream,
			"distributor without JOURNAL=jetstream, which counts the distributors"},
	} {
		if !rule.ok {
			errs = append(errs, config.Refuse(rule.name, rule.value, rule.want, "%s is %v: it must be %s", rule.name, rule.value, rule.want))
		}
	}
	return errors.Join(errs...)
}

// LargeBodies returns what to report of requests that are small enough by themselves and that may need
// more memory, or more of the disk journal, than one may have. A request needs memory for its body
// while that is read, of INPUTS also before and after it is decompressed and for its packets; with
// JOURNAL=jetstream these may have a quarter of the limit.
func (c Config) LargeBodies() []string {
	type bound struct {
		name  string
		bytes int
		limit string
		size  int64
		part  int64 // of the limit, that one request may have for sure
	}
	bounds := []bound{{"MAX_BODY_BYTES", c.Native.MaxBodyBytes, "MEMORY_LIMIT_BYTES", c.Memory.LimitBytes, 3}}
	if c.Journal == JournalDisk {
		bounds = append(bounds, bound{"MAX_BODY_BYTES", c.Native.MaxBodyBytes, "JOURNAL_MAX_BYTES", c.JournalMaxBytes, 4})
	}
	if part := int64(4); len(c.Inputs) > 0 {
		if c.Journal == JournalJetStream {
			part = 16
		}
		bounds = append(bounds, bound{"INPUT_MAX_BODY_BYTES", c.Receiver.MaxBodyBytes, "MEMORY_LIMIT_BYTES", c.Memory.LimitBytes, part})
	}
	var reports []string
	for _, b := range bounds {
		if enough := b.size / b.part; int64(b.bytes) > enough {
			reports = append(reports, fmt.Sprintf("%s is %d: a request larger than %d bytes may be refused with 413, since it may need more than there is (%s is %d, of which that is one part in %d)",
				b.name, b.bytes, enough, b.limit, b.size, b.part))
		}
	}
	return reports
}

func (c Config) analyzer(t Target) upstream.Config {
	config := c.Analyzer
	config.ID = t.ID
	return config
}

// All analyzers together get at most 5000 requests per second that could have carried more packets,
// so that the cost of a packet does not depend on the number of analyzers; a maximum delay bounds
// the wait of a packet for that.
const (
	minLinger         = time.Millisecond
	maxLinger         = 200 * time.Millisecond
	lingerPerAnalyzer = 200 * time.Microsecond
)

func linger(analyzers int) time.Duration {
	return max(minLinger, min(time.Duration(analyzers)*lingerPerAnalyzer, maxLinger))
}

// The duplicate window: its default duration with a disk journal, and the number of packets that
// each of its two generations holds (about 40 bytes each).
const (
	dedupeWindowOnDisk = 2 * time.Minute
	dedupePackets      = 500_000
)

// WithDefaults sets the settings whose defaults depend on other settings.
func (c Config) WithDefaults() Config { return c.WithDefaultsAfter(Config{}) }

// WithDefaultsAfter is WithDefaults for a configuration that follows the current one: an analyzer
// without an id keeps the id that the current analyzer at its URL has.
func (c Config) WithDefaultsAfter(current Config) Config {
	c.Targets = c.Targets.WithIDs(current.Targets)
	stores := c.stores()
	c.Intake.Stores = stores
	c.Intake.MemoryBytes = c.Memory.LimitBytes
	c.Server.MaxConnections = c.maxConnections(descriptorLimit())
	if c.Intake.Ack == "" {
		c.Intake.Ack = intake.AckQueued
		if stores {
			c.Intake.Ack = intake.AckStored
		}
	}
	if c.DedupeWindow < 0 {
		c.DedupeWindow = 0
		if stores {
			c.DedupeWindow = dedupeWindowOnDisk
		}
	}
	if c.Rate.Burst == 0 {
		c.Rate.Burst = c.Rate.Rate
	}
	return c
}

func (c Config) dedupe() dedupe.Config {
	config := dedupe.Config{Window: c.DedupeWindow, Packets: dedupePackets}
	if c.stores() {
		config.Dir = filepath.Join(c.DataDir, "dedupe")
	}
	return config
}

// inputDedupe is the duplicate window of packets that inputs make: their clients may send a request
// again minutes later.
func (c Config) inputDedupe() dedupe.Config {
	config := dedupe.Config{Window: 10 * time.Minute, Packets: dedupePackets}
	if c.stores() {
		config.Dir = filepath.Join(c.DataDir, "dedupe-inputs")
	}
	return config
}

// stores reports whether accepted packets survive the process.
func (c Config) stores() bool { return c.Journal != JournalMemory }

func (c Config) jetStream() jetstream.Config {
	config := c.JetStream
	config.MemoryLimitBytes = c.Memory.LimitBytes
	return config
}

func (c Config) disk() disk.Config {
	return disk.Config{Dir: c.DataDir, MaxBytes: c.JournalMaxBytes, MemoryLimitBytes: c.Memory.LimitBytes}
}

func (c Config) deadLetters() deadletter.Config {
	letters := deadletter.DefaultConfig(filepath.Join(c.DataDir, deadletter.Dir))
	letters.Durable = c.stores()
	letters.LineBytes = max(letters.LineBytes, c.Native.MaxBodyBytes+4<<20) // with the reason
	return letters
}

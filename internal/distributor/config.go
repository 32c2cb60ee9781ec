package distributor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/ingest"
	"github.com/logstreamer/logstreamer/internal/journal/disk"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Config is what users set for a distributor.
type Config struct {
	// Listen is where the ingest API listens, MetricsListen where Prometheus
	// scrapes; "host:port", port 0 for a free one.
	Listen, MetricsListen string
	Targets               []Target
	// Analyzer holds what is the same for all analyzers.
	Analyzer upstream.Config
	Ingest   ingest.Config
	Timeouts ingest.Timeouts
	// Routing is RoutingAdaptive or RoutingStrict.
	Routing string
	// Journal is JournalMemory or JournalDisk.
	Journal string
	// Memory bounds what is held in memory, with either journal.
	Memory memory.Config
	// JournalMaxBytes is the disk journal's budget.
	JournalMaxBytes int64
	// DedupeWindow is for how long a packet that comes again is recognised; 0
	// is never, negative the default of the journal.
	DedupeWindow time.Duration
	// Rate bounds each emitter.
	Rate ratelimit.Config
	// DataDir is the folder of the disk journal and of dead letters.
	DataDir string
	// ShutdownTimeout is how long a stop may take to deliver what is left.
	ShutdownTimeout time.Duration
	// Version is shown in metrics.
	Version string
}

// What happens when an analyzer cannot take its share of messages: the others
// take over, or all wait for it, which ends in refusals.
const (
	RoutingAdaptive = "adaptive"
	RoutingStrict   = "strict"
)

// Routings are the values of Config.Routing.
func Routings() []string { return []string{RoutingAdaptive, RoutingStrict} }

// The journals.
const (
	JournalMemory = "memory"
	JournalDisk   = "disk"
)

// Journals are the values of Config.Journal.
func Journals() []string { return []string{JournalMemory, JournalDisk} }

// DefaultConfig is the contract's; Targets must be set.
func DefaultConfig() Config {
	return Config{
		Listen:          ":8080",
		MetricsListen:   ":9100",
		Analyzer:        upstream.DefaultConfig(),
		Ingest:          ingest.DefaultConfig(),
		Timeouts:        ingest.DefaultTimeouts(),
		Memory:          memory.Config{QueuePackets: 10_000, LimitBytes: 256 << 20},
		Routing:         RoutingAdaptive,
		Journal:         JournalMemory,
		JournalMaxBytes: 10 << 30,
		DedupeWindow:    -1,
		DataDir:         "./data",
		ShutdownTimeout: 15 * time.Second,
		Version:         "dev",
	}
}

// CheckDataDir tells what cannot be kept in DATA_DIR, and why; nil when all can.
func (c Config) CheckDataDir() error {
	if err := datafile.CheckWritable(c.DataDir); err != nil {
		lost := "dead letters cannot be kept"
		if c.Journal == JournalDisk {
			lost = "packets, dead letters and the duplicate window cannot be kept"
		}
		return fmt.Errorf("DATA_DIR %q: %s: %w", c.DataDir, lost, err)
	}
	return nil
}

// Validate tells which setting cannot be, by its environment name.
func (c Config) Validate() error {
	if len(c.Targets) == 0 {
		return fmt.Errorf("ANALYZERS is required: URL=weight,URL=weight,…, such as http://analyzer-1:9001=0.5,http://analyzer-2:9002=0.5")
	}
	if len(c.Targets) > fairshare.MaxMembers {
		return fmt.Errorf("ANALYZERS lists %d analyzers: there may be %d", len(c.Targets), fairshare.MaxMembers)
	}
	ids := make(map[string]string)
	for _, t := range c.Targets {
		if _, err := sink.ParseURL(t.URL); err != nil {
			return err
		}
		if err := c.analyzer(t).Validate(); err != nil {
			return err
		}
		if other, taken := ids[t.ID]; taken {
			return fmt.Errorf("ANALYZERS: %s and %s have the same id %q: ids must differ", other, t.URL, t.ID)
		}
		ids[t.ID] = t.URL
		if !(t.Weight > 0 && t.Weight <= fairshare.MaxWeight) {
			return fmt.Errorf("ANALYZERS: %s=%g: the weight must be above 0 and at most %g", t.URL, t.Weight, float64(fairshare.MaxWeight))
		}
	}
	if err := validateDistinct(c.Targets); err != nil {
		return err
	}
	if err := c.validateAddresses(); err != nil {
		return err
	}
	for _, rule := range []struct {
		name  string
		value any
		ok    bool
		want  string
	}{
		{"INGEST_BUFFER_SIZE", c.Memory.QueuePackets, c.Memory.QueuePackets > 0, "at least 1"},
		{"MEMORY_LIMIT_BYTES", c.Memory.LimitBytes, c.Memory.LimitBytes >= 3*int64(c.Ingest.MaxBodyBytes),
			fmt.Sprintf("at least three times MAX_BODY_BYTES (%d), so that the largest packet finds room while it is read", c.Ingest.MaxBodyBytes)},
		{"MAX_BODY_BYTES", c.Ingest.MaxBodyBytes, c.Ingest.MaxBodyBytes > 0 && c.Ingest.MaxBodyBytes <= 1<<30, "1 to 1073741824"},
		{"MAX_PACKET_MESSAGES", c.Ingest.MaxPacketMessages,
			c.Ingest.MaxPacketMessages > 0 && c.Ingest.MaxPacketMessages <= fairshare.MaxMessages,
			fmt.Sprintf("1 to %d", fairshare.MaxMessages)},
		{"DRAIN_SEC", c.Ingest.DrainDelay, c.Ingest.DrainDelay >= 0, "0 or more"},
		{"SHUTDOWN_TIMEOUT_SEC", c.ShutdownTimeout, c.ShutdownTimeout >= 0, "0 or more"},
		{"DATA_DIR", c.DataDir, c.DataDir != "", "a folder"},
		{"ROUTING", c.Routing, slices.Contains(Routings(), c.Routing), "one of " + strings.Join(Routings(), ", ")},
		{"JOURNAL", c.Journal, slices.Contains(Journals(), c.Journal), "one of " + strings.Join(Journals(), ", ")},
		{"ACK", c.Ingest.Ack, c.Ingest.Ack == "" || slices.Contains(ingest.Acks(), string(c.Ingest.Ack)), "one of " + strings.Join(ingest.Acks(), ", ")},
		{"ACK", c.Ingest.Ack, c.Ingest.Ack != ingest.AckStored || c.Journal == JournalDisk, "another with JOURNAL=memory, which stores nothing"},
		{"ACK_TIMEOUT_MS", c.Ingest.AckTimeout, c.Ingest.AckTimeout > 0, "more than 0"},
		{"RATE_LIMIT", c.Rate.Rate, c.Rate.Rate >= 0, "0 (none) or more"},
		{"RATE_BURST", c.Rate.Burst, c.Rate.Burst >= 0, "0 (as much as RATE_LIMIT) or more"},
		{"RATE_BURST", c.Rate.Burst, c.Rate.Burst == 0 || c.Rate.Rate > 0, "0 without RATE_LIMIT, which it goes with"},
		{"JOURNAL_MAX_BYTES", c.JournalMaxBytes, c.JournalMaxBytes >= leastJournalBytes(c), "at least 1 MiB, and four times MAX_BODY_BYTES"},
	} {
		if !rule.ok {
			return fmt.Errorf("%s is %v: it must be %s", rule.name, rule.value, rule.want)
		}
	}
	return nil
}

func (c Config) analyzer(t Target) upstream.Config {
	config := c.Analyzer
	config.ID = t.ID
	return config
}

// All analyzers together get no more than 5000 requests a second that could have
// carried more, so that a packet costs the same however many analyzers there are;
// but no packet waits long for that.
const (
	minLinger         = time.Millisecond
	maxLinger         = 20 * time.Millisecond
	lingerPerAnalyzer = 200 * time.Microsecond
)

func linger(analyzers int) time.Duration {
	return max(minLinger, min(time.Duration(analyzers)*lingerPerAnalyzer, maxLinger))
}

// The duplicate window: how long with a disk journal when nothing else is said,
// and how many packets each of its two generations holds (about 40 bytes each).
const (
	dedupeWindowOnDisk = 2 * time.Minute
	dedupePackets      = 500_000
)

// Settled fills in what depends on other settings.
func (c Config) Settled() Config {
	stores := c.Journal == JournalDisk
	c.Ingest.Stores = stores
	c.Ingest.MemoryBytes = c.Memory.LimitBytes
	c.Ingest.MaxConnections = c.maxConnections(descriptorLimit())
	if c.Ingest.Ack == "" {
		c.Ingest.Ack = ingest.AckQueued
		if stores {
			c.Ingest.Ack = ingest.AckStored
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
	if c.Journal == JournalDisk {
		config.Dir = filepath.Join(c.DataDir, "dedupe")
	}
	return config
}

// leastJournalBytes leaves room for the largest packet while another is written.
func leastJournalBytes(c Config) int64 { return max(1<<20, 4*int64(c.Ingest.MaxBodyBytes)) }

func (c Config) disk() disk.Config {
	return disk.Config{Dir: c.DataDir, MaxBytes: c.JournalMaxBytes, MemoryLimitBytes: c.Memory.LimitBytes}
}

func (c Config) deadLetters() deadletter.Config {
	letters := deadletter.DefaultConfig(filepath.Join(c.DataDir, deadletter.Folder))
	letters.Durable = c.Journal == JournalDisk
	return letters
}

package jetstream

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"

	"github.com/logstreamer/logstreamer/internal/natslink"
)

// Config has the settings of the streams; the tags are those of package config.
type Config struct {
	natslink.Config
	// Monitor is the URL of /jsz of the servers; empty is port 8222 of Servers.
	Monitor  natslink.Servers `env:"NATS_MONITOR_URL" help:"comma-separated URLs of the NATS servers' monitoring ports, to check sync_interval (default: port 8222 of NATS_URL)"`
	Stream   string           `env:"JETSTREAM_STREAM" help:"first part of the streams' names, with JOURNAL=jetstream"`
	Replicas int              `env:"JETSTREAM_REPLICAS" min:"1" max:"5" help:"servers that keep each stream; 1 survives no loss of a server's disk"`
	// Partitions is the number of streams.
	Partitions int   `env:"JETSTREAM_PARTITIONS" min:"1" max:"64" help:"number of streams"`
	MaxBytes   int64 `env:"JETSTREAM_MAX_BYTES" format:"bytes" min:"1 MiB" help:"maximum size of all streams together in bytes, such as 10GiB; each server that keeps a stream reserves its part"`
	// MemoryLimitBytes bounds the packets in memory.
	MemoryLimitBytes int64
}

// DefaultConfig returns the defaults; Servers must be set.
func DefaultConfig() Config {
	return Config{Stream: "LOGSTREAMER", Replicas: 3, Partitions: 3, MaxBytes: 1 << 30}
}

var streamName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Validate returns an error for each invalid setting.
func (c Config) Validate() error {
	var errs []error
	errs = append(errs, c.Config.Validate(), c.Monitor.Validate("NATS_MONITOR_URL", "http", "https"))
	if !streamName.MatchString(c.Stream) {
		errs = append(errs, fmt.Errorf("JETSTREAM_STREAM is %q: it must be 1 to 64 letters, digits, _ and -", c.Stream))
	}
	if c.Replicas%2 == 0 {
		errs = append(errs, fmt.Errorf("JETSTREAM_REPLICAS is %d: it must be 1, 3 or 5, since a majority must be up", c.Replicas))
	}
	return errors.Join(errs...)
}

// monitors returns the URLs of /jsz to try.
func (c Config) monitors() []string {
	if set := c.Monitor.List(); len(set) > 0 {
		return set
	}
	const defaultPort = "8222"
	var all []string
	for _, one := range c.Servers.List() {
		if u, err := url.Parse(one); err == nil {
			all = append(all, "http://"+net.JoinHostPort(u.Hostname(), defaultPort))
		}
	}
	return all
}

// streamOf and subjectOf return the names of a partition's stream and subject.
func (c Config) streamOf(partition int) string  { return fmt.Sprintf("%s-%d", c.Stream, partition) }
func (c Config) subjectOf(partition int) string { return fmt.Sprintf("%s.%d", c.Stream, partition) }

// maxBytesOf is the maximum size of one stream.
func (c Config) maxBytesOf() int64 { return max(c.MaxBytes/int64(c.Partitions), 1) }

package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// Config is the configuration of one analyzer; the tags are those of package config. All
// fields except ID are common to all analyzers.
type Config struct {
	ID string

	// QueuePackets is the maximum number of packets bound to the analyzer.
	QueuePackets int `env:"PER_ANALYZER_QUEUE_SIZE" min:"1" reload:"live" help:"maximum packets bound to one analyzer and not yet delivered"`
	// Concurrency is the maximum number of requests in flight.
	Concurrency int `env:"SENDER_CONCURRENCY" min:"1" max:"1024" reload:"live" help:"maximum requests in flight to one analyzer"`
	// Retries is the number of further requests at this analyzer before a packet is
	// rerouted.
	Retries int `env:"SENDER_RETRIES" min:"0" reload:"live" help:"retries at the same analyzer before a packet is rerouted"`
	// Timeout is the timeout of one request.
	Timeout time.Duration `env:"SENDER_TIMEOUT_MS" format:"milliseconds" min:">0" reload:"live" help:"timeout of one request to an analyzer in milliseconds"`
	// ProbeInterval and ProbeTimeout apply to health probes.
	ProbeInterval time.Duration `env:"HEALTH_CHECK_INTERVAL_SEC" format:"seconds" min:">0" reload:"live" help:"seconds between health probes"`
	ProbeTimeout  time.Duration `env:"HEALTH_CHECK_TIMEOUT_SEC" format:"seconds" min:">0" reload:"live" help:"timeout of one health probe in seconds"`
	// MaxFailures is the number of consecutive failures that opens the breaker.
	MaxFailures int `env:"MAX_FAILURES" min:"1" reload:"live" help:"consecutive failures until an analyzer is unhealthy"`
	// SlowStart is the time in which the weight of a recovered analyzer grows.
	SlowStart time.Duration `env:"SLOW_START_SEC" format:"seconds" min:"0" reload:"live" help:"seconds in which the weight of a recovered analyzer ramps up"`
}

// maxHalfOpenPackets is the maximum number of packets bound to a half-open analyzer, and
// the number of successful requests that closes its breaker.
const maxHalfOpenPackets = 3

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		QueuePackets:  10_000,
		Concurrency:   8,
		Retries:       3,
		Timeout:       500 * time.Millisecond,
		ProbeInterval: 30 * time.Second,
		ProbeTimeout:  2 * time.Second,
		MaxFailures:   5,
		SlowStart:     10 * time.Second,
	}
}

func (c Config) breaker() breaker.Config {
	config := breaker.DefaultConfig()
	config.MaxFailures = c.MaxFailures
	config.MaxProbeInterval = min(c.ProbeInterval, config.MaxProbeInterval)
	config.InitialCooldown = min(config.InitialCooldown, c.ProbeInterval)
	config.HalfOpenRequests = maxHalfOpenPackets
	return config
}

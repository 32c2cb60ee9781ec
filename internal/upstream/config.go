package upstream

import (
	"fmt"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// Config is the configuration of one analyzer. All fields except ID are common to
// all analyzers.
type Config struct {
	ID string

	// QueuePackets is the maximum number of packets bound to the analyzer.
	QueuePackets int
	// Concurrency is the maximum number of requests in flight.
	Concurrency int
	// Linger is the minimum interval between the starts of requests to an analyzer that
	// accepts batches, except for full batches and for packets whose emitters wait for
	// the delivery.
	Linger time.Duration
	// Retries is the number of further requests at this analyzer before a packet is
	// rerouted.
	Retries int
	// Timeout is the timeout of one request.
	Timeout time.Duration
	// ProbeInterval and ProbeTimeout apply to health probes.
	ProbeInterval, ProbeTimeout time.Duration
	// MaxFailures is the number of consecutive failures that opens the breaker.
	MaxFailures int
	// SlowStart is the time in which the weight of a recovered analyzer grows.
	SlowStart time.Duration
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

// Validate returns an error for the first invalid setting, by its environment name.
func (c Config) Validate() error {
	for _, rule := range []struct {
		name  string
		value any
		ok    bool
		want  string
	}{
		{"PER_ANALYZER_QUEUE_SIZE", c.QueuePackets, c.QueuePackets > 0, "at least 1"},
		{"SENDER_CONCURRENCY", c.Concurrency, c.Concurrency > 0 && c.Concurrency <= 1024, "1 to 1024"},
		{"SENDER_RETRIES", c.Retries, c.Retries >= 0, "0 or more"},
		{"SENDER_TIMEOUT_MS", c.Timeout, c.Timeout > 0, "more than 0"},
		{"HEALTH_CHECK_INTERVAL_SEC", c.ProbeInterval, c.ProbeInterval > 0, "more than 0"},
		{"HEALTH_CHECK_TIMEOUT_SEC", c.ProbeTimeout, c.ProbeTimeout > 0, "more than 0"},
		{"MAX_FAILURES", c.MaxFailures, c.MaxFailures > 0, "at least 1"},
		{"SLOW_START_SEC", c.SlowStart, c.SlowStart >= 0, "0 or more"},
	} {
		if !rule.ok {
			return fmt.Errorf("%s is %v: it must be %s", rule.name, rule.value, rule.want)
		}
	}
	return nil
}

func (c Config) breaker() breaker.Config {
	config := breaker.DefaultConfig()
	config.MaxFailures = c.MaxFailures
	config.MaxProbeInterval = min(c.ProbeInterval, config.MaxProbeInterval)
	config.InitialCooldown = min(config.InitialCooldown, c.ProbeInterval)
	config.HalfOpenRequests = maxHalfOpenPackets
	return config
}

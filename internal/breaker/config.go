package breaker

import "time"

// Config holds the thresholds and intervals of a Breaker.
type Config struct {
	// MaxFailures is the number of consecutive failed sends and probes that opens
	// the breaker.
	MaxFailures int
	// FailureRatio is the ratio, above 0 and at most 1, of failed sends within
	// RatioWindow that opens the breaker, if there were at least RatioMinSends.
	FailureRatio  float64
	RatioMinSends int
	RatioWindow   time.Duration
	// HalfOpenRequests is the number of successful sends that close a half-open
	// breaker.
	HalfOpenRequests int
	// InitialCooldown is the time from open to the first probe. It doubles with
	// each transition from closed to open, up to MaxCooldown, and is reset after
	// the breaker was closed for longer than CooldownReset.
	InitialCooldown, MaxCooldown, CooldownReset time.Duration
	// MaxProbeInterval bounds the exponential backoff between failed probes while
	// open, and between failed half-open periods.
	MaxProbeInterval time.Duration
}

// DefaultConfig returns the default configuration.
func DefaultConfig() Config {
	return Config{
		MaxFailures:      5,
		FailureRatio:     0.5,
		RatioMinSends:    20,
		RatioWindow:      10 * time.Second,
		HalfOpenRequests: 3,
		InitialCooldown:  time.Second,
		MaxCooldown:      5 * time.Minute,
		CooldownReset:    10 * time.Minute,
		MaxProbeInterval: 10 * time.Second,
	}
}

package breaker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

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
	// Random returns numbers in [0,1) for a jitter of 20 % around each interval;
	// nil means math/rand/v2. It is called with the breaker locked.
	Random func() float64
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

// Validate returns an error for each invalid value.
func (c Config) Validate() error {
	var errs []error
	require := func(ok bool, format string, value any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, value))
		}
	}
	require(c.MaxFailures >= 1, "MaxFailures is %v, must be at least 1", c.MaxFailures)
	require(c.FailureRatio > 0 && c.FailureRatio <= 1, "FailureRatio is %v, must be above 0 and at most 1", c.FailureRatio)
	require(c.RatioMinSends >= 1, "RatioMinSends is %v, must be at least 1", c.RatioMinSends)
	require(c.RatioWindow >= minWindow, "RatioWindow is %v, must be at least "+minWindow.String(), c.RatioWindow)
	require(c.HalfOpenRequests >= 1, "HalfOpenRequests is %v, must be at least 1", c.HalfOpenRequests)
	require(c.InitialCooldown > 0, "InitialCooldown is %v, must be above 0", c.InitialCooldown)
	require(c.MaxCooldown >= c.InitialCooldown, "MaxCooldown is %v, must be at least InitialCooldown", c.MaxCooldown)
	require(c.MaxProbeInterval > 0, "MaxProbeInterval is %v, must be above 0", c.MaxProbeInterval)
	require(c.CooldownReset >= 0, "CooldownReset is %v, must not be negative", c.CooldownReset)
	return errors.Join(errs...)
}

// withJitter returns the interval, changed by up to 20 % in either direction.
func (c Config) withJitter(interval time.Duration) time.Duration {
	random := c.Random
	if random == nil {
		random = rand.Float64
	}
	return time.Duration(float64(interval) * (0.8 + 0.4*random()))
}

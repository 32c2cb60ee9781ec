package breaker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Config says when a breaker opens and how long it waits.
type Config struct {
	// MaxFailures is how many sends and probes in a row may fail: so many open
	// the breaker.
	MaxFailures int
	// FailureRatio is the part, above 0 and at most 1, of the sends within
	// RatioWindow that open the breaker when they fail, provided that there
	// were RatioMinimum sends.
	FailureRatio  float64
	RatioMinSends int
	RatioWindow   time.Duration
	// Trials is how many sends must succeed while half-open.
	HalfOpenRequests int
	// FirstPause is how long the first opening lasts at least. Each further one
	// from closed doubles the pause up to LongestPause, until the breaker was
	// closed for longer than Memory.
	InitialCooldown, MaxCooldown, CooldownReset time.Duration
	// LongestProbePause limits the pause between probes that fail while open,
	// and between trials that fail; it doubles from one to the next, so that a
	// return is noticed soon without knocking at a dead door all the time.
	MaxProbeInterval time.Duration
	// Random returns numbers from 0 to below 1, by which every pause is made up
	// to a fifth shorter or longer; nil means math/rand/v2. It is called with
	// the breaker locked.
	Random func() float64
}

// DefaultConfig returns what is used unless said otherwise.
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

// Validate returns an error for each value that makes no sense.
func (c Config) Validate() error {
	var errs []error
	require := func(ok bool, format string, value any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, value))
		}
	}
	require(c.MaxFailures >= 1, "MaxFailures is %v, must be at least 1", c.MaxFailures)
	require(c.FailureRatio > 0 && c.FailureRatio <= 1, "FailureRatio is %v, must be above 0 and at most 1", c.FailureRatio)
	require(c.RatioMinSends >= 1, "RatioMinimum is %v, must be at least 1", c.RatioMinSends)
	require(c.RatioWindow >= minWindow, "RatioWindow is %v, must be at least "+minWindow.String(), c.RatioWindow)
	require(c.HalfOpenRequests >= 1, "Trials is %v, must be at least 1", c.HalfOpenRequests)
	require(c.InitialCooldown > 0, "FirstPause is %v, must be above 0", c.InitialCooldown)
	require(c.MaxCooldown >= c.InitialCooldown, "LongestPause is %v, must be at least FirstPause", c.MaxCooldown)
	require(c.MaxProbeInterval > 0, "LongestProbePause is %v, must be above 0", c.MaxProbeInterval)
	require(c.CooldownReset >= 0, "Memory is %v, must not be negative", c.CooldownReset)
	return errors.Join(errs...)
}

// jittered returns a pause made up to a fifth shorter or longer.
func (c Config) withJitter(interval time.Duration) time.Duration {
	random := c.Random
	if random == nil {
		random = rand.Float64
	}
	return time.Duration(float64(interval) * (0.8 + 0.4*random()))
}

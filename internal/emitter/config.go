package emitter

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Config holds the emitter's settings. Start from DefaultConfig.
type Config struct {
	// Target is the URL that packets are posted to, http or https.
	Target string
	// Rate is in packets per second; 0 means as fast as Concurrency allows.
	Rate float64
	// Concurrency is the number of requests in flight, each on its own
	// connection.
	Concurrency int
	// Duration limits how long packets are produced; 0 means until the source
	// ends or the emitter is stopped.
	Duration time.Duration
	// PacketSize is the number of messages per packet: a number ("5"), a random
	// range ("1-100"), or a list used round-robin ("5,20").
	PacketSize string
	// EmitterID is the packets' emitter_id.
	EmitterID string
	// File is the log file to send, or "-" for Deps.Stdin; empty means
	// generated messages.
	File string
	// Follow keeps reading at the end of File as the file grows.
	Follow bool
	// MaxRetries limits the retries of a packet; negative means no limit.
	MaxRetries int
	// RequestTimeout bounds one request.
	RequestTimeout time.Duration
	// StopTimeout bounds how long packets already produced are sent after the
	// emitter is stopped or Duration has passed.
	StopTimeout time.Duration
	// Seed makes generated messages and random packet sizes reproducible.
	Seed uint64
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		Target:         "http://localhost:8080/ingest",
		Rate:           1000,
		Concurrency:    10,
		PacketSize:     "5",
		EmitterID:      "emitter-1",
		MaxRetries:     -1,
		RequestTimeout: 10 * time.Second,
		StopTimeout:    5 * time.Second,
		Seed:           1,
	}
}

// maxConcurrency is below the number of ephemeral ports of one client address.
const maxConcurrency = 10_000

// Validate returns all problems of the configuration; each error names the key,
// its value and what is allowed.
func (c Config) Validate() error {
	var problems []error
	require := func(ok bool, key string, value any, allowed string) {
		if !ok {
			problems = append(problems, fmt.Errorf("%s: %v is not allowed: %s", key, value, allowed))
		}
	}
	target, err := url.Parse(c.Target)
	require(err == nil && (target.Scheme == "http" || target.Scheme == "https") && target.Hostname() != "",
		"TARGET_URL", fmt.Sprintf("%q", c.Target), "it must be a URL such as http://localhost:8080/ingest or https://host/ingest")
	require(c.Rate >= 0 && !math.IsInf(c.Rate, 0) && !math.IsNaN(c.Rate),
		"RATE", c.Rate, "it must be packets a second, or 0 for as fast as possible")
	require(c.Concurrency >= 1 && c.Concurrency <= maxConcurrency,
		"CONCURRENCY", c.Concurrency, fmt.Sprintf("it must be from 1 to %d", maxConcurrency))
	require(c.Duration >= 0, "DURATION", c.Duration, "it must be a time such as 30s, or 0 for endless")
	if _, err := parseSizes(c.PacketSize, c.Seed); err != nil {
		problems = append(problems, err)
	}
	require(c.EmitterID != "" && len(c.EmitterID) <= packet.MaxIDBytes && utf8.ValidString(c.EmitterID),
		"EMITTER_ID", fmt.Sprintf("%.200q", c.EmitterID), fmt.Sprintf("it must be text of 1 to %d bytes", packet.MaxIDBytes))
	require(!c.Follow || (c.File != "" && c.File != standardInput),
		"FOLLOW", c.Follow, "it needs FILE to name a file (standard input is read until it is closed anyway)")
	require(c.RequestTimeout > 0, "REQUEST_TIMEOUT", c.RequestTimeout, "it must be positive")
	require(c.StopTimeout >= 0, "STOP_TIMEOUT", c.StopTimeout, "it must not be negative")
	return errors.Join(problems...)
}

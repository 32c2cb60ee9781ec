package emitter

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Config holds the emitter's settings; the tags are those of package config. Start from
// DefaultConfig.
type Config struct {
	// Target has the URLs that packets are posted to: http or https URLs of distributors, separated
	// by commas, or one URL of dns+http or dns+https, each address of which is a distributor.
	Target string `env:"TARGET_URL" flag:"target" help:"URL that packets are posted to; several with commas, or dns+http://host:8080/ingest, are sharded by emitter_id"`
	// TLS is the TLS of an https Target.
	TLS certificate.ClientConfig `prefix:"TARGET_"`
	// Token authorizes the packets; empty means no token.
	Token string `env:"TARGET_TOKEN" secret:"true" help:"token that the target requires; set it in the environment, since flags are visible to other users"`
	// Rate is in packets per second; 0 means as fast as Concurrency allows.
	Rate float64 `env:"RATE" min:"0" zero:"as fast as possible" help:"packets per second; 0 means as fast as possible"`
	// Concurrency is the number of requests in flight, each on its own
	// connection; there are more ephemeral ports than the maximum.
	Concurrency int `env:"CONCURRENCY" min:"1" max:"10000" help:"requests in flight, each on its own connection"`
	// Duration limits how long packets are produced; 0 means until the source
	// ends or the emitter is stopped.
	Duration time.Duration `env:"DURATION" min:"0" zero:"endless" help:"how long packets are sent; 0 means endless"`
	// PacketSize is the number of messages per packet: a number ("5"), a random
	// range ("1-100"), or a list used round-robin ("5,20").
	PacketSize string `env:"PACKET_SIZE" help:"messages per packet: 5, 5,20 round-robin, or 1-100 at random"`
	// EmitterID is the packets' emitter_id.
	EmitterID string `env:"EMITTER_ID" help:"the packets' emitter_id"`
	// File is the log file to send, or "-" for Dependencies.Stdin; empty means
	// generated messages.
	File string `env:"FILE" help:"log file to send instead of generated messages, or - for standard input"`
	// Follow keeps reading at the end of File as the file grows. File may then be several
	// files and patterns, separated by commas.
	Follow bool `env:"FOLLOW" help:"with -file: keep reading as the file grows, and as it is rotated; several files and patterns with commas, such as '/var/log/app/*.log'"`
	// Checkpoint is the file with the progress of followed files; empty means no file.
	Checkpoint string `env:"CHECKPOINT_FILE" flag:"checkpoint" help:"with -follow: file with what was sent, so that a restart continues there; one for each emitter"`
	// Multiline matches the first line of a record; the lines that follow belong to it, up
	// to the next match. Empty: each line is a record.
	Multiline string `env:"MULTILINE" help:"regular expression (RE2) that matches the first line of a record, such as '^\\d{4}-'; lines up to the next match belong to it, as those of a stack trace"`
	// MaxRetries limits the retries of a packet; negative means no limit.
	MaxRetries int `env:"MAX_RETRIES" help:"retries before a packet is given up; -1 means unlimited"`
	// RequestTimeout bounds one request.
	RequestTimeout time.Duration `env:"REQUEST_TIMEOUT" min:">0" help:"timeout of one request"`
	// StopTimeout bounds how long packets already produced are sent after the
	// emitter is stopped or Duration has passed.
	StopTimeout time.Duration `env:"STOP_TIMEOUT" min:"0" help:"how long a stop sends pending packets"`
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

// Validate checks what the tags cannot express; each error names the key, its
// value and what is allowed.
func (c Config) Validate() error {
	var problems []error
	require := func(ok bool, key string, value any, allowed string) {
		if !ok {
			problems = append(problems, fmt.Errorf("%s: %v is not allowed: %s", key, value, allowed))
		}
	}
	urls, _, err := parseTargets(c.Target)
	if err != nil {
		problems = append(problems, fmt.Errorf("TARGET_URL: %w", err))
	}
	require(c.TLS == (certificate.ClientConfig{}) || slices.ContainsFunc(urls, func(u *url.URL) bool { return u.Scheme == "https" }),
		"TARGET_URL", fmt.Sprintf("%q", c.Target), "it must be an https URL for TARGET_CA, TARGET_CERT, TARGET_KEY and TARGET_SERVER_NAME")
	if err := c.TLS.Validate("TARGET_"); err != nil {
		problems = append(problems, err)
	}
	if _, err := ParseSizes(c.PacketSize, c.Seed); err != nil {
		problems = append(problems, err)
	}
	require(c.EmitterID != "" && len(c.EmitterID) <= packet.MaxIDBytes && utf8.ValidString(c.EmitterID),
		"EMITTER_ID", fmt.Sprintf("%.200q", c.EmitterID), fmt.Sprintf("it must be text of 1 to %d bytes", packet.MaxIDBytes))
	require(!c.Follow || (c.File != "" && c.File != standardInput),
		"FOLLOW", c.Follow, "it needs FILE to name a file (standard input is read until it is closed anyway)")
	require(c.Checkpoint == "" || c.Follow, "CHECKPOINT_FILE", fmt.Sprintf("%q", c.Checkpoint), "it needs FOLLOW")
	if _, err := compileFirstLine(c.Multiline); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

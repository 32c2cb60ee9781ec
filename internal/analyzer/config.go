package analyzer

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/dedupe"
)

// Config holds the analyzer's settings. Errors use the environment names.
type Config struct {
	// Port is the port to listen on (PORT); 0 selects a free one.
	Port int
	// Host is the address to listen on (LISTEN_ADDR); empty means all
	// addresses.
	Host string
	// Address, unless empty, is host:port to listen on instead of Host and
	// Port.
	Address string
	// ID is the analyzer's name in its replies (ANALYZER_ID).
	ID string
	// ProcessingDelay is added to the processing of every packet
	// (PROCESSING_DELAY_MS), to simulate work.
	ProcessingDelay time.Duration
	// MaxBodyBytes limits the decompressed size of a request (MAX_BODY_BYTES).
	MaxBodyBytes int
	// MaxPacketMessages limits the messages of a packet (MAX_PACKET_MESSAGES).
	MaxPacketMessages int
	// DuplicateWindowPackets is the minimum number of packets remembered for
	// duplicate detection; up to twice as many are (DUPLICATE_WINDOW_PACKETS).
	// Each takes about 40 bytes.
	DuplicateWindowPackets int
	// DuplicateWindow is the minimum time for which packets are remembered; up
	// to twice as long (DUPLICATE_WINDOW_SEC).
	DuplicateWindow time.Duration
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		Port:                   9001,
		ID:                     "analyzer-1",
		MaxBodyBytes:           10 << 20,
		MaxPacketMessages:      10_000,
		DuplicateWindowPackets: 100_000,
		DuplicateWindow:        10 * time.Minute,
	}
}

const (
	maxIDBytes         = 256
	maxProcessingDelay = time.Minute
	largestBody        = 1 << 30
	maxWindowPackets   = 10_000_000 // packets
)

// Validate returns an error that names each invalid key, its value and what is
// allowed; nil when there is none.
func (c Config) Validate() error {
	return errors.Join(
		between("PORT", c.Port, 0, 65535),
		c.validateAddress(),
		c.validateID(),
		durationBetween("PROCESSING_DELAY_MS", c.ProcessingDelay, 0, maxProcessingDelay),
		between("MAX_BODY_BYTES", c.MaxBodyBytes, 1, largestBody),
		between("MAX_PACKET_MESSAGES", c.MaxPacketMessages, 1, largestBody),
		between("DUPLICATE_WINDOW_PACKETS", c.DuplicateWindowPackets, 1, maxWindowPackets),
		durationBetween("DUPLICATE_WINDOW_SEC", c.DuplicateWindow, time.Millisecond, 24*time.Hour),
	)
}

func (c Config) validateAddress() error {
	if c.Address == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("the address %q to listen on must be host:port: %w", c.Address, err)
	}
	return nil
}

func (c Config) validateID() error {
	if c.ID == "" || len(c.ID) > maxIDBytes || !utf8.ValidString(c.ID) {
		return fmt.Errorf("ANALYZER_ID is %q, but must be 1 to %d bytes of valid UTF-8", c.ID, maxIDBytes)
	}
	return nil
}

func between(key string, value, low, high int) error {
	if value < low || value > high {
		return fmt.Errorf("%s is %d, but must be from %d to %d", key, value, low, high)
	}
	return nil
}

func durationBetween(key string, value, low, high time.Duration) error {
	if value < low || value > high {
		return fmt.Errorf("%s is %v, but must be from %v to %v", key, value, low, high)
	}
	return nil
}

func (c Config) window() dedupe.Config {
	return dedupe.Config{Window: c.DuplicateWindow, Packets: c.DuplicateWindowPackets}
}

func (c Config) listenAddress() string {
	if c.Address != "" {
		return c.Address
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}

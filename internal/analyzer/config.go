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

// Config is what a user may set. The names are those of the environment.
type Config struct {
	// Port is where the analyzer listens (PORT); 0 takes a free one.
	Port int
	// Host is the address that it listens on (LISTEN_ADDR); empty is all
	// addresses of the machine.
	Host string
	// Address is host:port to listen on in place of Host and Port, such as
	// 127.0.0.1:0, or empty.
	Address string
	// ID is the analyzer's name in its replies (ANALYZER_ID).
	ID string
	// ProcessingDelay is how long every packet takes longer than it must
	// (PROCESSING_DELAY_MS): a stand-in for work.
	ProcessingDelay time.Duration
	// MaxBodyBytes is how large a request may be, decompressed
	// (MAX_BODY_BYTES).
	MaxBodyBytes int
	// MaxPacketMessages is how many messages a packet may have
	// (MAX_PACKET_MESSAGES).
	MaxPacketMessages int
	// DuplicateWindowPackets is how many packets, at least, are remembered to
	// tell duplicates by, and at most twice as many (DUPLICATE_WINDOW_PACKETS);
	// each takes about 40 bytes.
	DuplicateWindowPackets int
	// DuplicateWindow is for how long, at least, and at most twice as long
	// (DUPLICATE_WINDOW_SEC).
	DuplicateWindow time.Duration
}

// DefaultConfig returns a valid Config with each default.
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
	largestWindow      = 10_000_000 // packets
)

// Validate returns an error that names each key that cannot be used, its value
// and what is allowed; nil when there is none.
func (c Config) Validate() error {
	return errors.Join(
		between("PORT", c.Port, 0, 65535),
		c.validateAddress(),
		c.validateID(),
		durationBetween("PROCESSING_DELAY_MS", c.ProcessingDelay, 0, maxProcessingDelay),
		between("MAX_BODY_BYTES", c.MaxBodyBytes, 1, largestBody),
		between("MAX_PACKET_MESSAGES", c.MaxPacketMessages, 1, largestBody),
		between("DUPLICATE_WINDOW_PACKETS", c.DuplicateWindowPackets, 1, largestWindow),
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

func between(key string, value, lowest, highest int) error {
	if value < lowest || value > highest {
		return fmt.Errorf("%s is %d, but must be from %d to %d", key, value, lowest, highest)
	}
	return nil
}

func durationBetween(key string, value, lowest, highest time.Duration) error {
	if value < lowest || value > highest {
		return fmt.Errorf("%s is %v, but must be from %v to %v", key, value, lowest, highest)
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

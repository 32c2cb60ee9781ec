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

// Config holds the analyzer's settings; the tags are those of package config.
type Config struct {
	// Port and Host are where the analyzer listens; port 0 selects a free one.
	Port int    `env:"PORT" format:"port" help:"port to listen on"`
	Host string `env:"LISTEN_ADDR" format:"host" help:"address to listen on, such as 127.0.0.1, without a port (default: all addresses)"`
	// Address, unless empty, is host:port to listen on instead of Host and
	// Port.
	Address string
	// ID is the analyzer's name in its replies.
	ID string `env:"ANALYZER_ID" help:"name in replies"`
	// ProcessingDelay is added to the processing of every packet, to simulate work.
	ProcessingDelay time.Duration `env:"PROCESSING_DELAY_MS" format:"milliseconds" min:"0" max:"1m" help:"milliseconds added to the processing of each packet"`
	// MaxBodyBytes limits the decompressed size of a request.
	MaxBodyBytes int `env:"MAX_BODY_BYTES" format:"bytes" min:"1" max:"1073741824" help:"maximum decompressed size of a request in bytes, such as 10MiB"`
	// MaxPacketMessages limits the messages of a packet.
	MaxPacketMessages int `env:"MAX_PACKET_MESSAGES" min:"1" max:"1073741824" help:"maximum messages per packet"`
	// DuplicateWindowPackets is the minimum number of packets that duplicate detection remembers;
	// the maximum is twice as many. Each takes about 40 bytes.
	DuplicateWindowPackets int `env:"DUPLICATE_WINDOW_PACKETS" min:"1" max:"10000000" help:"packets remembered for duplicate detection"`
	// DuplicateWindow is the minimum time for which duplicate detection remembers packets; the
	// maximum is twice as long.
	DuplicateWindow time.Duration `env:"DUPLICATE_WINDOW_SEC" format:"seconds" min:"1ms" max:"24h" help:"seconds for which packets are remembered for duplicate detection"`
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

const maxIDBytes = 256

// Validate checks what the tags cannot express: the ID and the Address.
func (c Config) Validate() error { return errors.Join(c.validateAddress(), c.validateID()) }

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

func (c Config) window() dedupe.Config {
	return dedupe.Config{Window: c.DuplicateWindow, Packets: c.DuplicateWindowPackets}
}

func (c Config) listenAddress() string {
	if c.Address != "" {
		return c.Address
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}

package emitter

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func TestDefaultConfigIsValid(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	for name, c := range map[string]struct {
		key    string
		change func(*Config)
	}{
		"no scheme":           {"TARGET_URL", func(c *Config) { c.Target = "localhost:8080" }},
		"no host":             {"TARGET_URL", func(c *Config) { c.Target = "http:///ingest" }},
		"another scheme":      {"TARGET_URL", func(c *Config) { c.Target = "ftp://host/ingest" }},
		"not a URL":           {"TARGET_URL", func(c *Config) { c.Target = "http://host:port" }},
		"no messages":         {"PACKET_SIZE", func(c *Config) { c.PacketSize = "0" }},
		"size is a word":      {"PACKET_SIZE", func(c *Config) { c.PacketSize = "many" }},
		"range backwards":     {"PACKET_SIZE", func(c *Config) { c.PacketSize = "9-3" }},
		"list with a hole":    {"PACKET_SIZE", func(c *Config) { c.PacketSize = "5,,20" }},
		"too large":           {"PACKET_SIZE", func(c *Config) { c.PacketSize = "1000000" }},
		"no emitter":          {"EMITTER_ID", func(c *Config) { c.EmitterID = "" }},
		"emitter is too long": {"EMITTER_ID", func(c *Config) { c.EmitterID = strings.Repeat("é", 512) + "x" }},
		"emitter is not text": {"EMITTER_ID", func(c *Config) { c.EmitterID = "\xff" }},
		"nothing to follow":   {"FOLLOW", func(c *Config) { c.Follow = true }},
		"following a pipe":    {"FOLLOW", func(c *Config) { c.Follow, c.File = true, "-" }},
	} {
		t.Run(name, func(t *testing.T) {
			config := DefaultConfig()
			c.change(&config)
			if err := config.Validate(); err == nil || !strings.HasPrefix(err.Error(), c.key+":") {
				t.Errorf("Validate() = %v, want a problem with %s", err, c.key)
			}
			if _, err := New(config, Dependencies{Logger: slog.New(slog.DiscardHandler)}); err == nil {
				t.Error("New takes it")
			}
		})
	}
}

// A pattern without FOLLOW is no file; the error names what reads patterns.
func TestPatternNeedsFollow(t *testing.T) {
	config := DefaultConfig()
	config.File = t.TempDir() + "/*.log"
	if _, err := New(config, Dependencies{Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.HasSuffix(err.Error(), "several files and patterns need FOLLOW") {
		t.Errorf("New with file %s = %v", config.File, err)
	}
}

// A distributor accepts the longest emitter_id.
func TestLongestEmitterID(t *testing.T) {
	config := fileConfig(writeFile(t, []byte("a line\n")), "5")
	config.EmitterID = strings.Repeat("é", 512)
	if err := config.Validate(); err != nil {
		t.Error(err)
	}
	drain(t, openSource(t, config, nil))
}

func TestNewNamesTheFile(t *testing.T) {
	config := DefaultConfig()
	for _, file := range []string{t.TempDir() + "/missing.log", t.TempDir()} {
		config.File = file
		if _, err := New(config, Dependencies{Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.HasPrefix(err.Error(), "FILE: ") || !strings.Contains(err.Error(), file) {
			t.Errorf("New with file %s = %v", file, err)
		}
	}
}

func TestSizes(t *testing.T) {
	draw := func(text string, seed uint64) (drawn []int) {
		s, err := ParseSizes(text, seed)
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			drawn = append(drawn, s.Next())
		}
		return drawn
	}
	if got := draw("5", 1); slices.Min(got) != 5 || slices.Max(got) != 5 {
		t.Error("a fixed size is not used for every packet")
	}
	if got := draw("5, 20", 1)[:4]; !slices.Equal(got, []int{5, 20, 5, 20}) {
		t.Errorf("a list is not taken in turn: %v", got)
	}
	ranged := draw("1-100", 1)
	if slices.Min(ranged) != 1 || slices.Max(ranged) != 100 {
		t.Errorf("1000 draws of 1-100 lie within %d-%d", slices.Min(ranged), slices.Max(ranged))
	}
	if !slices.Equal(ranged, draw("1-100", 1)) || slices.Equal(ranged, draw("1-100", 2)) {
		t.Error("the seed does not decide the sizes")
	}
}

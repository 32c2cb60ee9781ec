package demo

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

func TestRunBalances(t *testing.T) {
	config := DefaultConfig()
	config.Duration = 5 * time.Minute
	config.KillAfter, config.KillDuration = 200*time.Millisecond, 200*time.Millisecond
	var log strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	out := interruptingWriter{interrupt: cancel, at: regexp.MustCompile("analyzer-1 is back")}
	err := Run(ctx, config, Screen{Out: &out}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"analyzer-1 is stopped", "analyzer-1 is back", "It balances."} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is missing from\n%s", text, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if columns := utf8.RuneCountInString(line) - 1; columns > 80 {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
	if strings.Contains(out.String(), "\x1b") || log.Len() > 0 {
		t.Errorf("escape codes, or logged: %s", log.String())
	}
}

// Interrupted, the demo delivers what it has accepted, and balances.
func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	config := DefaultConfig()
	config.Duration = 0
	out := interruptingWriter{interrupt: cancel, at: regexp.MustCompile("ANALYZER")}
	if err := Run(ctx, config, Screen{Out: &out}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "It balances.") {
		t.Error(out.String())
	}
}

// interruptingWriter interrupts when all that was written matches.
type interruptingWriter struct {
	strings.Builder
	interrupt context.CancelFunc
	at        *regexp.Regexp
}

func (w *interruptingWriter) Write(text []byte) (int, error) {
	n, err := w.Builder.Write(text)
	if w.at.MatchString(w.String()) {
		w.interrupt()
	}
	return n, err
}

// A demo that cannot start returns one error and leaves nothing behind.
func TestRunFails(t *testing.T) {
	config := DefaultConfig()
	config.Duration = 0
	config.File = t.TempDir() + "/missing.log"
	err := Run(t.Context(), config, Screen{Out: new(strings.Builder)}, slog.New(slog.DiscardHandler))
	if err == nil || strings.Count(err.Error(), "missing.log") != 1 {
		t.Errorf("error %v", err)
	}
}

func TestValidate(t *testing.T) {
	config := DefaultConfig()
	if err := config.Validate(); err != nil {
		t.Error(err)
	}
	config.PacketSize = "none"
	if err := config.Validate(); err == nil || !strings.Contains(err.Error(), "PACKET_SIZE: \"none\"") {
		t.Errorf("error %v", err)
	}
	for says, change := range map[string]func(*Config){
		"CLUSTER: 1 is not allowed":                                    func(c *Config) { c.Cluster = 1 },
		"FILE: \"app.log\" is not allowed with CLUSTER or PROTOCOLS":   func(c *Config) { c.Cluster, c.File = 3, "app.log" },
		"CLUSTER, PROTOCOLS and AUTOSCALE_DEMO are demos of their own": func(c *Config) { c.Cluster, c.Protocols = 3, true },
	} {
		config := DefaultConfig()
		change(&config)
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}

// On a terminal each table overwrites the previous one; logged lines stay.
func TestViewOnTerminal(t *testing.T) {
	var out strings.Builder
	v := newView(Screen{Out: &out, Terminal: true})
	status := distributor.Status{Analyzers: []distributor.AnalyzerStatus{{MemberStats: router.MemberStats{ID: "analyzer-1", Target: 1}, Status: upstream.Status{Health: "healthy"}}}}
	v.draw(status, emitter.Report{})
	v.draw(status, emitter.Report{})
	v.logLine("hello %d", 1)
	v.draw(status, emitter.Report{})
	lines := strings.Count(v.table(status, emitter.Report{}), "\n")
	if got := strings.Count(out.String(), "\x1b["+string(rune('0'+lines))+"A\x1b[J"); got != 2 {
		t.Errorf("drawn over %d times, want 2:\n%q", got, out.String())
	}
	if tail := out.String()[strings.Index(out.String(), "hello 1"):]; strings.Contains(tail, "\x1b") {
		t.Errorf("a logged line is overwritten: %q", tail)
	}
}

func TestShareOfNothing(t *testing.T) {
	if got := percent(0, 0); got != "–" {
		t.Errorf("%q", got)
	}
	if got := percent(-1, 3); got != "–" {
		t.Errorf("%q", got)
	}
	if got := percent(1, 3); got != "33.3 %" {
		t.Errorf("%q", got)
	}
}

package demo

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/autoscale"
)

// Analyzers come when the load grows, and the ledger balances. No line exceeds the terminal.
func TestAutoscale(t *testing.T) {
	config := DefaultConfig()
	config.Autoscale, config.Duration = true, 10*time.Second
	var out strings.Builder
	load := wave{low: 500 * time.Millisecond, high: time.Minute, period: time.Hour}
	if err := runAutoscale(t.Context(), config, load, Screen{Out: &out}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !regexp.MustCompile(`analyzers: ([2-9]|10) desired, 1 running`).MatchString(out.String()) || !strings.Contains(out.String(), " analyzer-2 ") || !strings.Contains(out.String(), "It balances.") {
		t.Errorf("%s", out.String())
	}
	for line := range strings.Lines(out.String()) {
		if columns := utf8.RuneCountInString(strings.TrimRight(line, "\n")); columns >= width {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
}

// A fleet grows and shrinks under load, by changes of the configuration: those that go have
// delivered what they held.
func TestFleet(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	f := newFleet(time.Millisecond, logger)
	defer f.stop()
	first, err := f.start()
	if err != nil {
		t.Fatal(err)
	}
	d, err := startSystem(t.Context(), fleetSettings(first, t.TempDir()), nil, f, logger)
	if err != nil {
		t.Fatal(err)
	}
	f.attach(d.controller)
	config := DefaultConfig()
	config.Rate, config.Duration = 2000, 0
	ctx, end := context.WithCancel(t.Context())
	sending := newSurging(config, wave{low: time.Hour}, "http://"+d.Addr()+"/ingest", logger)
	done := make(chan error)
	go func() { done <- sending.run(ctx) }()
	for _, n := range []int{4, 4, 2, 3, 1} {
		if _, err := f.Scale(t.Context(), autoscale.Decision{Desired: n}); err != nil {
			t.Fatal(err)
		}
		if got := len(d.Status().Analyzers); got != n || f.size() != n {
			t.Errorf("%d analyzers in the configuration, %d run, want %d", got, f.size(), n)
		}
	}
	told := strings.Join(f.takeTold(), "\n")
	if strings.Count(told, "drained: it held") != 4 || strings.Count(told, "desired") != 4 || len(f.takeTold()) != 0 {
		t.Errorf("%s", told)
	}
	end()
	if err := errors.Join(<-done, d.stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := printLedger(new(strings.Builder), ledger{sending.report(), d.Status(), f.stop()}); err != nil {
		t.Error(err)
	}
}

func TestWrapWords(t *testing.T) {
	words := strings.Repeat("word ", 40)
	for line := range strings.Lines(wrapWords(words)) {
		if columns := len(strings.TrimRight(line, "\n")); columns >= width || columns < 40 {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
	if got := wrapWords("a  b"); got != "a b\n" {
		t.Errorf("%q", got)
	}
}

func TestAutoscaleWithWhatItCannotDo(t *testing.T) {
	for _, change := range []func(*Config){func(c *Config) { c.File = "x" }, func(c *Config) { c.KillAfter = 1 }, func(c *Config) { c.Rate = 0 }} {
		config := DefaultConfig()
		config.Autoscale = true
		change(&config)
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), "AUTOSCALE_DEMO") {
			t.Errorf("%v", err)
		}
	}
}

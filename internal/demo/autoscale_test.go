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

// Analyzers come when the load grows and go when it has fallen; nothing is refused, and the ledger
// balances. No line exceeds the terminal.
func TestAutoscale(t *testing.T) {
	config := DefaultConfig()
	config.Autoscale, config.Duration = true, 5*time.Minute
	config.Rate = 200 // of which a tenth is little for one analyzer, also on a slow machine
	ctx, cancel := context.WithCancel(t.Context())
	out := interruptingWriter{interrupt: cancel, at: regexp.MustCompile(`analyzer-2 drained: packets held`)}
	load := loadCycle{low: 500 * time.Millisecond, high: 8 * time.Second, period: time.Hour}
	if err := runAutoscale(ctx, config, load, Screen{Out: &out}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, text := range []string{
		`analyzers: ([2-9]|10) desired, 1 running`, ` analyzer-2 `, `analyzers: 1 desired, ([2-9]|10) running`, `analyzer-2 drained: packets held`, `\+ refused 0 \(0\)`, `(?m)^It balances\.$`,
	} {
		if !regexp.MustCompile(text).MatchString(out.String()) {
			t.Errorf("%q is missing", text)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
	for line := range strings.Lines(out.String()) {
		if columns := utf8.RuneCountInString(strings.TrimRight(line, "\n")); columns >= Width {
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
	d, err := startSystem(t.Context(), fleetSettings(first), nil, f, logger)
	if err != nil {
		t.Fatal(err)
	}
	f.attach(d.controller)
	config := DefaultConfig()
	config.Rate, config.Duration = 2000, 0
	ctx, end := context.WithCancel(t.Context())
	sending := newSurgeLoad(config, loadCycle{low: time.Hour}, "http://"+d.Addr()+"/ingest", logger)
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
	events := strings.Join(f.takeEvents(), "\n")
	if strings.Count(events, "drained: packets held") != 4 || strings.Count(events, "desired") != 4 || len(f.takeEvents()) != 0 {
		t.Errorf("%s", events)
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
		if columns := len(strings.TrimRight(line, "\n")); columns >= Width || columns < 40 {
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

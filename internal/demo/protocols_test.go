package demo

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Each message that is sent by any protocol arrives once, at whatever analyzer.
func TestProtocols(t *testing.T) {
	config := DefaultConfig()
	config.Protocols, config.Rate, config.Duration = true, 120, 5*time.Minute
	// A table in which all protocols have arrived and nobody's share is 0.0 %.
	var rows strings.Builder
	for _, p := range protocols {
		rows.WriteString(` *` + regexp.QuoteMeta(p.input) + `( +\d+){3} +[1-9]\d* +\d+\n`)
	}
	all := regexp.MustCompile(`TWICE\n` + rows.String() + `.*\n.*\n( *(analyzer-\d|elastic|loki) +(\d\d|[1-9]|0\.[1-9]).*\n)+\n`)
	ctx, cancel := context.WithCancel(t.Context())
	out := interruptingWriter{interrupt: cancel, at: all}
	var log strings.Builder
	err := Run(ctx, config, Screen{Out: &out}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil || log.Len() > 0 || !strings.Contains(out.String(), "It balances.") {
		t.Errorf("%v, logged %s", err, log.String())
	}
	for _, p := range protocols {
		if !strings.Contains(out.String(), fmt.Sprintf("  %-14s sent ", p.input)) || strings.Contains(out.String(), fmt.Sprintf("  %-14s sent 0 ", p.input)) {
			t.Errorf("nothing is sent by %s", p.input)
		}
	}
	for _, id := range []string{"analyzer-1", "elastic", "loki"} {
		if strings.Contains(out.String(), id+"  0.0 %") {
			t.Errorf("%s has no share", id)
		}
	}
	for line := range strings.Lines(out.String()) {
		if columns := utf8.RuneCountInString(strings.TrimRight(line, "\n")); columns >= Width {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// The commands that the demo prints work as they are.
func TestProtocolsCommands(t *testing.T) {
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	config := DefaultConfig()
	config.Protocols, config.Console, config.Rate, config.PacketSize = true, true, 6, "1"
	ctx, interrupt := context.WithCancel(t.Context())
	var out printed
	done := make(chan error)
	go func() { done <- Run(ctx, config, Screen{Out: &out}, slog.New(slog.DiscardHandler)) }()
	eventually(t, "the commands are not printed", func() bool { return strings.Contains(out.String(), "PROTOCOL") })
	_, commands, _ := strings.Cut(out.String(), ":\n\n")
	commands, _, _ = strings.Cut(commands, "\n\n")
	if said, err := exec.CommandContext(t.Context(), "sh", "-c", commands).CombinedOutput(); strings.Count(commands, "curl") != len(protocols) {
		t.Errorf("%d commands: %v, %s", strings.Count(commands, "curl"), err, said)
	}
	eventually(t, "not all of them arrive", func() bool {
		return strings.Contains(strings.Join(strings.Fields(out.String()), " "), fmt.Sprintf("others – – – %d –", len(protocols)))
	})
	interrupt()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestProtocolsDoNotBalance(t *testing.T) {
	status := distributor.Status{Accepted: packet.Volume{Packets: 1, Messages: 2}, Delivered: packet.Volume{Packets: 1, Messages: 2}}
	for name, c := range map[string]struct {
		change func(*protocolDemo, *distributor.Status)
		says   string
	}{
		"balanced":           {func(*protocolDemo, *distributor.Status) {}, ""},
		"one is lost":        {func(d *protocolDemo, _ *distributor.Status) { d.senders[0].accepted.Add(1); d.senders[0].sent.Add(1) }, "loki: 1 of 3 accepted messages did not arrive"},
		"one was not sent":   {func(d *protocolDemo, _ *distributor.Status) { d.arrivals.note("loki", 3, 1) }, "3 messages arrived, and 2 were sent"},
		"one arrives twice":  {func(d *protocolDemo, _ *distributor.Status) { d.arrivals.note("loki", 2, 1) }, "1 messages arrived twice"},
		"twice after a stop": {func(d *protocolDemo, _ *distributor.Status) { d.config.KillAfter = 1; d.arrivals.note("loki", 2, 1) }, ""},
		"a packet is left":   {func(_ *protocolDemo, s *distributor.Status) { s.Delivered = packet.Volume{} }, "left undelivered"},
		"a packet is a dead one": {func(_ *protocolDemo, s *distributor.Status) {
			s.Delivered, s.DeadLettered = s.DeadLettered, s.Delivered
		}, "2 messages are dead letters"},
		"unaccounted": {func(_ *protocolDemo, s *distributor.Status) { s.Unaccounted = 7 }, "7 messages are unaccounted"},
	} {
		d := &protocolDemo{arrivals: newArrivals("loki"), senders: []*protocolSender{{protocol: protocol{input: "loki"}}}}
		d.senders[0].sent.Store(2)
		d.senders[0].accepted.Store(2)
		d.taken(numberedText("loki", 1))
		d.taken(numberedText("loki", 2))
		d.taken("demo loki: GET /api/orders/")
		s := status
		c.change(d, &s)
		if err := d.check(s); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if d.others.Load() != 1 {
			t.Errorf("%d others", d.others.Load())
		}
	}
}

// refusing refuses the first attempts.
type refusing struct {
	left int
	got  []string
}

func (r *refusing) send(_ context.Context, messages []numbered) error {
	r.got = append(r.got, fmt.Sprint(messages))
	if r.left--; r.left >= 0 {
		return errRefused
	}
	return nil
}

func (r *refusing) close() {}

// A request that is refused is sent again as it was.
func TestProtocolSenderSendsAgain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	to := &refusing{left: 1}
	sizes, err := emitter.ParseSizes("3", 1)
	if err != nil {
		t.Fatal(err)
	}
	s := &protocolSender{protocol: protocol{input: "x", connect: func(string) request { return to }}, sizes: sizes, pacer: emitter.Pacer{Rate: 1000}}
	producing, end := context.WithCancel(ctx)
	s.protocol.connect = func(string) request { return endingAfter{to, 2, end} }
	s.run(producing, ctx)
	if len(to.got) != 2 || to.got[0] != to.got[1] || s.refused.Load() != 1 || s.requests.Load() != 1 || s.accepted.Load() != 3 || s.sent.Load() != 3 {
		t.Errorf("%q, refused %d, accepted %d messages of %d in %d requests", to.got, s.refused.Load(), s.accepted.Load(), s.sent.Load(), s.requests.Load())
	}
}

// endingAfter ends the production once that many attempts were made.
type endingAfter struct {
	*refusing
	attempts int
	end      func()
}

func (e endingAfter) send(ctx context.Context, messages []numbered) error {
	err := e.refusing.send(ctx, messages)
	if len(e.got) == e.attempts {
		e.end()
	}
	return err
}

package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/peterbourgon/ff/v3/ffcli"
	"golang.org/x/term"

	"github.com/logstreamer/logstreamer/internal/demo"
)

func demoCommand(p process) *ffcli.Command {
	config := demo.DefaultConfig()
	s := newSettings("demo", p)
	s.add(durationValue{&config.Emitter.Duration}, "duration", "DURATION", "how long packets are sent; 0 means until interrupted; a file is sent to its end unless this is set")
	s.add(floatValue{&config.Emitter.Rate}, "rate", "RATE", "packets per second; 0 means as fast as possible")
	s.add(stringValue{&config.Emitter.PacketSize}, "packet-size", "PACKET_SIZE", "messages per packet: 5, 5,20 round-robin, or 1-100 at random")
	s.add(stringValue{&config.Emitter.File}, "file", "FILE", "log file to send instead of generated messages, or - for standard input")
	s.add(durationValue{&config.KillAfter}, "kill-after", "KILL_AFTER", "when one analyzer is stopped; 0 means never")
	s.add(durationValue{&config.KillDuration}, "kill-duration", "KILL_DURATION", "how long the analyzer stays stopped")
	log := newLogging(s, "error")
	return s.service(ffcli.Command{
		ShortUsage: "logstreamer demo [flags]",
		ShortHelp:  "run a distributor, three analyzers and an emitter in one process and watch the split",
	}, log, func() error {
		if config.Emitter.File != "" && !s.explicit["duration"] {
			config.Emitter.Duration = 0
		}
		return config.Validate()
	}, func(ctx context.Context, logger *slog.Logger) error {
		screen := demo.Screen{Out: p.stdout, Terminal: p.isRewritable(), Stdin: p.stdin}
		return demo.Run(ctx, config, screen, logger)
	})
}

// isRewritable reports whether standard output is a terminal on which lines can
// be overwritten.
func (p process) isRewritable() bool {
	file, ok := p.stdout.(*os.File)
	kind, _ := p.getenv("TERM")
	return ok && kind != "dumb" && term.IsTerminal(int(file.Fd()))
}

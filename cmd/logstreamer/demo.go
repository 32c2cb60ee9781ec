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
	s.add(duration{&config.Emitter.Duration}, "duration", "DURATION", "how long packets are sent; 0 is until interrupted; a file is sent whole unless this is set")
	s.add(ratio{&config.Emitter.Rate}, "rate", "RATE", "packets a second; 0 is as fast as possible")
	s.add(words{&config.Emitter.PacketSize}, "packet-size", "PACKET_SIZE", "messages of a packet: 5, 5,20 in turn, or 1-100 at random")
	s.add(words{&config.Emitter.File}, "file", "FILE", "log file to send instead of generated messages, or - for standard input")
	s.add(duration{&config.KillAfter}, "kill-after", "KILL_AFTER", "when one analyzer is stopped for a while; 0 is never")
	s.add(duration{&config.KillDuration}, "kill-duration", "KILL_DURATION", "how long it stays stopped")
	log := newLogging(s, "error")
	return s.service(ffcli.Command{
		ShortUsage: "logstreamer demo [flags]",
		ShortHelp:  "run a distributor, three analyzers and an emitter in one process and watch the split",
	}, log, func() error {
		if config.Emitter.File != "" && !s.given["duration"] {
			config.Emitter.Duration = 0
		}
		return config.Validate()
	}, func(ctx context.Context, logger *slog.Logger) error {
		screen := demo.Screen{Out: p.stdout, Terminal: p.drawsOver(), Stdin: p.stdin}
		return demo.Run(ctx, config, screen, logger)
	})
}

// drawsOver tells whether standard output is a terminal on which text can be
// drawn over.
func (p process) drawsOver() bool {
	file, ok := p.stdout.(*os.File)
	kind, _ := p.getenv("TERM")
	return ok && kind != "dumb" && term.IsTerminal(int(file.Fd()))
}

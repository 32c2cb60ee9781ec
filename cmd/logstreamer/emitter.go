package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/emitter"
)

func emitterCommand(p process) *ffcli.Command {
	config := emitter.DefaultConfig()
	s := newSettings("emitter", p)
	s.add(words{&config.Target}, "target", "TARGET_URL", "URL that packets are posted to")
	s.add(ratio{&config.Rate}, "rate", "RATE", "packets a second; 0 is as fast as possible")
	s.add(whole[int]{&config.Concurrency}, "concurrency", "CONCURRENCY", "requests in flight, each on its own connection")
	s.add(duration{&config.Duration}, "duration", "DURATION", "how long packets are sent; 0 is endless")
	s.add(words{&config.PacketSize}, "packet-size", "PACKET_SIZE", "messages of a packet: 5, 5,20 in turn, or 1-100 at random")
	s.add(words{&config.EmitterID}, "emitter-id", "EMITTER_ID", "the packets' emitter_id")
	s.add(words{&config.File}, "file", "FILE", "log file to send instead of generated messages, or - for standard input")
	s.add(toggle{&config.Follow}, "follow", "FOLLOW", "with -file: go on as it grows")
	s.add(whole[int]{&config.MaxRetries}, "max-retries", "MAX_RETRIES", "further tries before a packet is given up; -1 is never")
	s.add(duration{&config.RequestTimeout}, "request-timeout", "REQUEST_TIMEOUT", "how long one request may take")
	s.add(duration{&config.StopTimeout}, "stop-timeout", "STOP_TIMEOUT", "how long a stop may take to send what is left")
	log := newLogging(s, "info")
	return s.service(ffcli.Command{
		ShortUsage: "logstreamer emitter [flags]",
		ShortHelp:  "send generated messages or a real log file",
	}, log, func() error { return config.Validate() }, func(ctx context.Context, logger *slog.Logger) error {
		e, err := emitter.New(config, emitter.Deps{
			Logger: logger, Out: p.stdout, Terminal: p.drawsOver(), Stdin: p.stdin,
		})
		if err != nil {
			return err
		}
		report, err := e.Run(ctx)
		return errors.Join(err, report.Unaccepted())
	})
}

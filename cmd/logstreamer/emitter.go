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
	s.add(stringValue{&config.Target}, "target", "TARGET_URL", "URL that packets are posted to")
	s.add(floatValue{&config.Rate}, "rate", "RATE", "packets per second; 0 means as fast as possible")
	s.add(intValue[int]{&config.Concurrency}, "concurrency", "CONCURRENCY", "requests in flight, each on its own connection")
	s.add(durationValue{&config.Duration}, "duration", "DURATION", "how long packets are sent; 0 means endless")
	s.add(stringValue{&config.PacketSize}, "packet-size", "PACKET_SIZE", "messages per packet: 5, 5,20 round-robin, or 1-100 at random")
	s.add(stringValue{&config.EmitterID}, "emitter-id", "EMITTER_ID", "the packets' emitter_id")
	s.add(stringValue{&config.File}, "file", "FILE", "log file to send instead of generated messages, or - for standard input")
	s.add(boolValue{&config.Follow}, "follow", "FOLLOW", "with -file: keep reading as the file grows")
	s.add(intValue[int]{&config.MaxRetries}, "max-retries", "MAX_RETRIES", "retries before a packet is given up; -1 means unlimited")
	s.add(durationValue{&config.RequestTimeout}, "request-timeout", "REQUEST_TIMEOUT", "timeout of one request")
	s.add(durationValue{&config.StopTimeout}, "stop-timeout", "STOP_TIMEOUT", "how long a stop sends pending packets")
	log := newLogging(s, "info")
	return s.service(ffcli.Command{
		ShortUsage: "logstreamer emitter [flags]",
		ShortHelp:  "send generated messages or a real log file",
	}, log, func() error { return config.Validate() }, func(ctx context.Context, logger *slog.Logger) error {
		e, err := emitter.New(config, emitter.Deps{
			Logger: logger, Out: p.stdout, Terminal: p.isRewritable(), Stdin: p.stdin,
		})
		if err != nil {
			return err
		}
		report, err := e.Run(ctx)
		return errors.Join(err, report.Unaccepted())
	})
}

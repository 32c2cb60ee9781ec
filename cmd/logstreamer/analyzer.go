package main

import (
	"context"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/analyzer"
)

// analyzerStop is how long an analyzer may take to finish what it has begun.
const analyzerStop = 10 * time.Second

func analyzerCommand(p process) *ffcli.Command {
	config := analyzer.DefaultConfig()
	s := newSettings("analyzer", p)
	s.add(whole[int]{&config.Port}, "port", "PORT", "port to listen on")
	s.add(words{&config.ID}, "analyzer-id", "ANALYZER_ID", "name in the answers")
	s.add(span{&config.ProcessingDelay, time.Millisecond}, "processing-delay-ms", "PROCESSING_DELAY_MS", "milliseconds that each packet takes longer than it must")
	s.add(whole[int]{&config.MaxBodyBytes}, "max-body-bytes", "MAX_BODY_BYTES", "a request's decompressed size")
	s.add(whole[int]{&config.MaxPacketMessages}, "max-packet-messages", "MAX_PACKET_MESSAGES", "messages of one packet")
	s.add(whole[int]{&config.DuplicateWindowPackets}, "duplicate-window-packets", "DUPLICATE_WINDOW_PACKETS", "packets that are remembered to tell duplicates by")
	s.add(span{&config.DuplicateWindow, time.Second}, "duplicate-window-sec", "DUPLICATE_WINDOW_SEC", "seconds for which they are")
	log := newLogging(s, "info")
	return s.command(ffcli.Command{
		ShortUsage: "logstreamer analyzer [flags]",
		ShortHelp:  "take packets and count their messages",
	}, func() error { return config.Validate() }, func(ctx context.Context) error {
		a, err := analyzer.New(config, analyzer.Deps{Logger: log.logger(p.stderr)})
		if err != nil {
			return err
		}
		a.Start()
		<-ctx.Done()
		stopping, cancel := context.WithTimeout(context.Background(), analyzerStop)
		defer cancel()
		return a.Stop(stopping)
	})
}

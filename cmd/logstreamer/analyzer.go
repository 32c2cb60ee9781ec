package main

import (
	"context"
	"log/slog"
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
	s.add(analyzerHost{&config.Host}, "listen-addr", "LISTEN_ADDR", "address to listen on, such as 127.0.0.1, without a port (default: all addresses)")
	s.add(words{&config.ID}, "analyzer-id", "ANALYZER_ID", "name in the answers")
	s.add(span{&config.ProcessingDelay, time.Millisecond}, "processing-delay-ms", "PROCESSING_DELAY_MS", "milliseconds that each packet takes longer than it must")
	s.add(size[int]{&config.MaxBodyBytes}, "max-body-bytes", "MAX_BODY_BYTES", "a request's decompressed size in bytes, such as 10MiB")
	s.add(whole[int]{&config.MaxPacketMessages}, "max-packet-messages", "MAX_PACKET_MESSAGES", "messages of one packet")
	s.add(whole[int]{&config.DuplicateWindowPackets}, "duplicate-window-packets", "DUPLICATE_WINDOW_PACKETS", "packets that are remembered to tell duplicates by")
	s.add(span{&config.DuplicateWindow, time.Second}, "duplicate-window-sec", "DUPLICATE_WINDOW_SEC", "seconds for which they are")
	log := newLogging(s, "info")
	return s.service(ffcli.Command{
		ShortUsage: "logstreamer analyzer [flags]",
		ShortHelp:  "take packets and count their messages",
	}, log, func() error { return config.Validate() }, func(ctx context.Context, logger *slog.Logger) error {
		a, err := analyzer.New(config, analyzer.Deps{Logger: logger})
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

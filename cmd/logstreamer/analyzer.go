package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/analyzer"
)

// analyzerStopTimeout bounds how long a stop waits for requests in flight.
const analyzerStopTimeout = 10 * time.Second

func analyzerCommand(p process) *ffcli.Command {
	config := analyzer.DefaultConfig()
	s := newSettings("analyzer", p)
	s.add(intValue[int]{&config.Port}, "port", "PORT", "port to listen on")
	s.add(bareHostValue{&config.Host}, "listen-addr", "LISTEN_ADDR", "address to listen on, such as 127.0.0.1, without a port (default: all addresses)")
	s.add(stringValue{&config.ID}, "analyzer-id", "ANALYZER_ID", "name in replies")
	s.add(unitDurationValue{&config.ProcessingDelay, time.Millisecond}, "processing-delay-ms", "PROCESSING_DELAY_MS", "milliseconds added to the processing of each packet")
	s.add(sizeValue[int]{&config.MaxBodyBytes}, "max-body-bytes", "MAX_BODY_BYTES", "maximum decompressed size of a request in bytes, such as 10MiB")
	s.add(intValue[int]{&config.MaxPacketMessages}, "max-packet-messages", "MAX_PACKET_MESSAGES", "maximum messages per packet")
	s.add(intValue[int]{&config.DuplicateWindowPackets}, "duplicate-window-packets", "DUPLICATE_WINDOW_PACKETS", "packets remembered for duplicate detection")
	s.add(unitDurationValue{&config.DuplicateWindow, time.Second}, "duplicate-window-sec", "DUPLICATE_WINDOW_SEC", "seconds for which packets are remembered for duplicate detection")
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
		stopping, cancel := context.WithTimeout(context.Background(), analyzerStopTimeout)
		defer cancel()
		return a.Stop(stopping)
	})
}

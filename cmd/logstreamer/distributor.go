package main

import (
	"context"
	"fmt"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"logstreamer/internal/distributor"
)

// distributorSettings declares the distributor's settings.
func distributorSettings(name string, p process) (*settings, *distributor.Config, *logging) {
	config := distributor.DefaultConfig()
	config.Version = version
	s := newSettings(name, p)
	s.withFile()
	s.add(targets{&config.Targets}, "analyzers", "ANALYZERS", "URL=weight,URL=weight,… of the analyzers; required")
	s.add(port{&config.Listen}, "port", "PORT", "port of the ingest API")
	s.add(words{&config.MetricsListen}, "metrics-addr", "METRICS_ADDR", "address of Prometheus' /metrics")
	s.add(whole[int]{&config.Memory.QueuePackets}, "ingest-buffer-size", "INGEST_BUFFER_SIZE", "packets accepted and not yet bound to an analyzer")
	s.add(whole[int]{&config.Analyzer.QueuePackets}, "per-analyzer-queue-size", "PER_ANALYZER_QUEUE_SIZE", "packets bound to one analyzer and not yet delivered, at most")
	s.add(whole[int64]{&config.Memory.LimitBytes}, "memory-limit-bytes", "MEMORY_LIMIT_BYTES", "bytes of packets held in memory over all queues")
	s.add(whole[int]{&config.Ingest.MaxBodyBytes}, "max-body-bytes", "MAX_BODY_BYTES", "a request's decompressed size")
	s.add(whole[int]{&config.Ingest.MaxPacketMessages}, "max-packet-messages", "MAX_PACKET_MESSAGES", "messages of one packet")
	s.add(whole[int]{&config.Analyzer.Concurrency}, "sender-concurrency", "SENDER_CONCURRENCY", "requests in flight to one analyzer")
	s.add(whole[int]{&config.Analyzer.Retries}, "sender-retries", "SENDER_RETRIES", "further tries at the same analyzer before a packet goes elsewhere")
	s.add(span{&config.Analyzer.Timeout, time.Millisecond}, "sender-timeout-ms", "SENDER_TIMEOUT_MS", "milliseconds for one request to an analyzer")
	s.add(span{&config.Analyzer.ProbeInterval, time.Second}, "health-check-interval-sec", "HEALTH_CHECK_INTERVAL_SEC", "seconds between health probes")
	s.add(span{&config.Analyzer.ProbeTimeout, time.Second}, "health-check-timeout-sec", "HEALTH_CHECK_TIMEOUT_SEC", "seconds for one probe")
	s.add(whole[int]{&config.Analyzer.MaxFailures}, "max-failures", "MAX_FAILURES", "failures in a row until an analyzer is unhealthy")
	s.add(span{&config.Analyzer.SlowStart, time.Second}, "slow-start-sec", "SLOW_START_SEC", "seconds in which a returning analyzer's weight grows")
	s.add(words{&config.DataDir}, "data-dir", "DATA_DIR", "folder of dead letters")
	s.add(span{&config.ShutdownTimeout, time.Second}, "shutdown-timeout-sec", "SHUTDOWN_TIMEOUT_SEC", "seconds that a stop may take to deliver what is left")
	log := &logging{}
	log.declare(s)
	return s, &config, log
}

func distributorCommand(p process) *ffcli.Command {
	s, config, log := distributorSettings("distributor", p)
	return &ffcli.Command{
		Name:       "distributor",
		ShortUsage: "logstreamer distributor -analyzers URL=weight,… [flags]",
		ShortHelp:  "accept packets and route each to one analyzer",
		FlagSet:    s.set,
		UsageFunc:  s.usage,
		Exec: func(ctx context.Context, args []string) error {
			if err := noArguments(args); err != nil {
				return err
			}
			if err := s.resolve(); err != nil {
				return err
			}
			if err := config.Validate(); err != nil {
				return usageError{err}
			}
			d, err := distributor.New(*config, log.logger(p.stderr))
			if err != nil {
				return err
			}
			d.Start(ctx)
			<-ctx.Done()
			return stopDistributor(d, config.ShutdownTimeout)
		},
	}
}

// stopDistributor stops within the time and reports what was left behind.
func stopDistributor(d *distributor.Distributor, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	left, err := d.Stop(ctx)
	if left.Packets > 0 {
		return fmt.Errorf("%d packets (%d messages) could not be delivered in %v", left.Packets, left.Messages, timeout)
	}
	return err
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

// distributorSettings declares the distributor's settings.
func distributorSettings(name string, p process) (*settings, *distributor.Config, *logging) {
	config := distributor.DefaultConfig()
	config.Version = buildVersion()
	s := newSettings(name, p)
	s.withFile()
	s.add(targets{&config.Targets}, "analyzers", "ANALYZERS", "URL=weight,URL=weight,… of the analyzers; required")
	s.add(port{&config.Listen}, "port", "PORT", "port of the ingest API")
	s.add(words{&config.MetricsListen}, "metrics-addr", "METRICS_ADDR", "address of Prometheus' /metrics")
	s.add(host{&config.Listen}, "listen-addr", "LISTEN_ADDR", "address that the ingest API listens on, such as 127.0.0.1, without a port (default: all addresses)")
	s.add(whole[int]{&config.Memory.QueuePackets}, "ingest-buffer-size", "INGEST_BUFFER_SIZE", "packets accepted and not yet bound to an analyzer")
	s.add(whole[int]{&config.Analyzer.QueuePackets}, "per-analyzer-queue-size", "PER_ANALYZER_QUEUE_SIZE", "packets bound to one analyzer and not yet delivered, at most")
	s.add(size[int64]{&config.Memory.LimitBytes}, "memory-limit-bytes", "MEMORY_LIMIT_BYTES", "bytes of packets held in memory over all queues, such as 256MiB")
	s.add(size[int]{&config.Ingest.MaxBodyBytes}, "max-body-bytes", "MAX_BODY_BYTES", "a request's decompressed size in bytes, such as 10MiB")
	s.add(whole[int]{&config.Ingest.MaxPacketMessages}, "max-packet-messages", "MAX_PACKET_MESSAGES", "messages of one packet")
	s.add(whole[int]{&config.Analyzer.Concurrency}, "sender-concurrency", "SENDER_CONCURRENCY", "requests in flight to one analyzer")
	s.add(whole[int]{&config.Analyzer.Retries}, "sender-retries", "SENDER_RETRIES", "further tries at the same analyzer before a packet goes elsewhere")
	s.add(span{&config.Analyzer.Timeout, time.Millisecond}, "sender-timeout-ms", "SENDER_TIMEOUT_MS", "milliseconds for one request to an analyzer")
	s.add(span{&config.Analyzer.ProbeInterval, time.Second}, "health-check-interval-sec", "HEALTH_CHECK_INTERVAL_SEC", "seconds between health probes")
	s.add(span{&config.Analyzer.ProbeTimeout, time.Second}, "health-check-timeout-sec", "HEALTH_CHECK_TIMEOUT_SEC", "seconds for one probe")
	s.add(whole[int]{&config.Analyzer.MaxFailures}, "max-failures", "MAX_FAILURES", "failures in a row until an analyzer is unhealthy")
	s.add(span{&config.Analyzer.SlowStart, time.Second}, "slow-start-sec", "SLOW_START_SEC", "seconds in which a returning analyzer's weight grows")
	s.add(oneOf{&config.Routing, distributor.Routings()}, "routing", "ROUTING", "when an analyzer cannot take its share: adaptive (the others take over) or strict (all wait for it)")
	s.add(oneOf{&config.Journal, distributor.Journals()}, "journal", "JOURNAL", "where accepted packets wait: memory, or disk (survives kill -9 and power loss)")
	s.add(size[int64]{&config.JournalMaxBytes}, "journal-max-bytes", "JOURNAL_MAX_BYTES", "the disk journal's budget in bytes, such as 10GiB")
	s.add(acks{&config.Ingest.Ack}, "ack", "ACK", "when emitters are answered that do not say: queued, stored or delivered (default: queued, with JOURNAL=disk stored)")
	s.add(span{&config.Ingest.AckTimeout, time.Millisecond}, "ack-timeout-ms", "ACK_TIMEOUT_MS", "milliseconds that ?ack=delivered waits")
	s.add(window{&config.DedupeWindow}, "dedupe-window-sec", "DEDUPE_WINDOW_SEC", "seconds in which a packet that comes again is recognised; 0 is never (default: 0, with JOURNAL=disk 120)")
	s.add(ratio{&config.Rate.Rate}, "rate-limit", "RATE_LIMIT", "messages per second for each emitter_id; 0 is no limit")
	s.add(ratio{&config.Rate.Burst}, "rate-burst", "RATE_BURST", "messages that an emitter may send at once; 0 is a second's worth")
	s.add(shed{&config.Ingest.Shed}, "shed", "SHED", "levels that are refused first when room gets scarce, such as DEBUG@80%,INFO@95%")
	s.add(words{&config.DataDir}, "data-dir", "DATA_DIR", "folder of the disk journal and of dead letters")
	s.add(span{&config.Ingest.DrainDelay, time.Second}, "drain-sec", "DRAIN_SEC", "seconds for which a stop still accepts connections and answers 503, so that load balancers notice")
	s.add(span{&config.ShutdownTimeout, time.Second}, "shutdown-timeout-sec", "SHUTDOWN_TIMEOUT_SEC", "seconds that a stop may take to deliver what is left")
	return s, &config, newLogging(s, "info")
}

func distributorCommand(p process) *ffcli.Command {
	s, config, log := distributorSettings("distributor", p)
	return s.service(ffcli.Command{
		ShortUsage: "logstreamer distributor -analyzers URL=weight,… [flags]",
		ShortHelp:  "accept packets and route each to one analyzer",
	}, log, func() error { return config.Validate() }, func(ctx context.Context, logger *slog.Logger) error {
		d, err := distributor.New(*config, logger)
		if err != nil {
			return err
		}
		d.Start(ctx)
		<-ctx.Done()
		return stopDistributor(d, config.ShutdownTimeout)
	})
}

// stopDistributor stops within the time and reports what was lost by it; what is
// stored is not.
func stopDistributor(d *distributor.Distributor, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	left, err := d.Stop(ctx)
	if left.Packets > 0 && !d.Stores() {
		return fmt.Errorf("%d packets (%d messages) could not be delivered in %v", left.Packets, left.Messages, timeout)
	}
	return err
}

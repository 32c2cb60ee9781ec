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
	s.addConfigFlag()
	s.add(analyzersValue{&config.Targets}, "analyzers", "ANALYZERS", "URL=weight,URL=weight,… of the analyzers; required")
	s.add(portValue{&config.Listen}, "port", "PORT", "port of the ingest API")
	s.add(stringValue{&config.MetricsListen}, "metrics-addr", "METRICS_ADDR", "address of Prometheus' /metrics")
	s.add(hostValue{&config.Listen}, "listen-addr", "LISTEN_ADDR", "address that the ingest API listens on, such as 127.0.0.1, without a port (default: all addresses)")
	s.add(intValue[int]{&config.Memory.QueuePackets}, "ingest-buffer-size", "INGEST_BUFFER_SIZE", "packets accepted and not yet bound to an analyzer")
	s.add(intValue[int]{&config.Analyzer.QueuePackets}, "per-analyzer-queue-size", "PER_ANALYZER_QUEUE_SIZE", "maximum packets bound to one analyzer and not yet delivered")
	s.add(sizeValue[int64]{&config.Memory.LimitBytes}, "memory-limit-bytes", "MEMORY_LIMIT_BYTES", "maximum bytes of packets in memory over all queues, such as 256MiB")
	s.add(sizeValue[int]{&config.Native.MaxBodyBytes}, "max-body-bytes", "MAX_BODY_BYTES", "maximum decompressed size of a request in bytes, such as 10MiB")
	s.add(intValue[int]{&config.Native.MaxPacketMessages}, "max-packet-messages", "MAX_PACKET_MESSAGES", "maximum messages per packet")
	s.add(intValue[int]{&config.Analyzer.Concurrency}, "sender-concurrency", "SENDER_CONCURRENCY", "maximum requests in flight to one analyzer")
	s.add(intValue[int]{&config.Analyzer.Retries}, "sender-retries", "SENDER_RETRIES", "retries at the same analyzer before a packet is rerouted")
	s.add(unitDurationValue{&config.Analyzer.Timeout, time.Millisecond}, "sender-timeout-ms", "SENDER_TIMEOUT_MS", "timeout of one request to an analyzer in milliseconds")
	s.add(unitDurationValue{&config.Analyzer.ProbeInterval, time.Second}, "health-check-interval-sec", "HEALTH_CHECK_INTERVAL_SEC", "seconds between health probes")
	s.add(unitDurationValue{&config.Analyzer.ProbeTimeout, time.Second}, "health-check-timeout-sec", "HEALTH_CHECK_TIMEOUT_SEC", "timeout of one health probe in seconds")
	s.add(intValue[int]{&config.Analyzer.MaxFailures}, "max-failures", "MAX_FAILURES", "consecutive failures until an analyzer is unhealthy")
	s.add(unitDurationValue{&config.Analyzer.SlowStart, time.Second}, "slow-start-sec", "SLOW_START_SEC", "seconds in which the weight of a recovered analyzer ramps up")
	s.add(enumValue{&config.Routing, distributor.Routings()}, "routing", "ROUTING", "when an analyzer cannot take its share: adaptive (the others take its share) or strict (all wait for it)")
	s.add(enumValue{&config.Journal, distributor.Journals()}, "journal", "JOURNAL", "where accepted packets are stored: memory, or disk (survives kill -9 and power loss)")
	s.add(sizeValue[int64]{&config.JournalMaxBytes}, "journal-max-bytes", "JOURNAL_MAX_BYTES", "maximum size of the disk journal in bytes, such as 10GiB")
	s.add(ackValue{&config.Intake.Ack}, "ack", "ACK", "default of ?ack=: queued, stored or delivered (default: queued, with JOURNAL=disk stored)")
	s.add(unitDurationValue{&config.Intake.AckTimeout, time.Millisecond}, "ack-timeout-ms", "ACK_TIMEOUT_MS", "timeout of ?ack=delivered in milliseconds")
	s.add(windowValue{&config.DedupeWindow}, "dedupe-window-sec", "DEDUPE_WINDOW_SEC", "seconds in which duplicate packets are detected; 0 disables detection (default: 0, with JOURNAL=disk 120)")
	s.add(floatValue{&config.Rate.Rate}, "rate-limit", "RATE_LIMIT", "messages per second per emitter_id; 0 means no limit")
	s.add(floatValue{&config.Rate.Burst}, "rate-burst", "RATE_BURST", "burst in messages per emitter_id; 0 means one second of RATE_LIMIT")
	s.add(shedValue{&config.Intake.Shed}, "shed", "SHED", "levels that are refused first when memory runs short, such as DEBUG@80%,INFO@95%")
	s.add(stringValue{&config.DataDir}, "data-dir", "DATA_DIR", "directory of the disk journal and the dead letters")
	s.add(unitDurationValue{&config.Server.DrainDelay, time.Second}, "drain-sec", "DRAIN_SEC", "seconds for which a stopping distributor still accepts connections and answers 503, for load balancers")
	s.add(unitDurationValue{&config.ShutdownTimeout, time.Second}, "shutdown-timeout-sec", "SHUTDOWN_TIMEOUT_SEC", "maximum seconds of a stop for the delivery of queued packets")
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

// stopDistributor stops within the timeout and reports the packets lost; stored
// packets are not lost.
func stopDistributor(d *distributor.Distributor, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	left, err := d.Stop(ctx)
	if left.Packets > 0 && !d.Stores() {
		return fmt.Errorf("%d packets (%d messages) could not be delivered in %v", left.Packets, left.Messages, timeout)
	}
	return err
}

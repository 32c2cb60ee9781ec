package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/worker"
)

const (
	// durable is the name of the consumer of each stream, which all distributors share.
	durable = "distributors"
	// maxAckPending is the maximum number of envelopes of a stream that all distributors together
	// have claimed.
	maxAckPending = 256
	// duplicatesWindow is the time for which a stream recognises a repeated envelope.
	duplicatesWindow = 2 * time.Minute
	// maxFurtherPartitions bounds the search for streams of a larger number of partitions.
	maxFurtherPartitions = 64
)

// streamError is a setting, or a refusal by NATS, that a retry cannot fix.
type streamError struct{ err error }

func (e *streamError) Error() string { return e.err.Error() }
func (e *streamError) Unwrap() error { return e.err }

// streamConfig returns the settings of a partition's stream.
func (c Config) streamConfig(partition int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: c.streamOf(partition), Subjects: []string{c.subjectOf(partition)},
		Description: "packets that distributors of Log Streamer have accepted",
		Retention:   jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		Replicas: c.Replicas, MaxBytes: c.maxBytesOf(), Duplicates: duplicatesWindow, MaxMsgs: -1, MaxMsgSize: -1, MaxConsumers: -1,
		AllowDirect: true,
	}
}

func consumerConfig(subject string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: durable, FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
		MaxDeliver: -1, MaxAckPending: maxAckPending, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
}

// prepare creates or checks the streams and consumers that are not ready.
func (j *Journal) prepare(ctx context.Context) error {
	for !j.link.IsConnected() {
		if !worker.Sleep(ctx, 10*time.Millisecond) {
			return j.cause(ctx.Err())
		}
		if err := j.lostCause(); err != nil {
			return err
		}
	}
	for {
		err := j.prepareStreams(ctx)
		if refused := new(streamError); err == nil || errors.As(err, &refused) {
			return err
		}
		if !worker.Sleep(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

func (j *Journal) lostCause() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost
}

func (j *Journal) cause(err error) error {
	if lost := j.lostCause(); lost != nil {
		return lost
	}
	return err
}

func (j *Journal) prepareStreams(ctx context.Context) error {
	if !j.furtherFound {
		if err := j.findFurtherPartitions(ctx); err != nil {
			return apiError(err, j.config.streamOf(len(j.partitions)))
		}
	}
	if err := checkMaxPayload(j.link.MaxPayload()); err != nil {
		return err
	}
	for _, p := range j.partitions {
		j.mu.Lock()
		ready := p.ready
		j.mu.Unlock()
		if ready {
			continue
		}
		info, limits, err := j.prepareStream(ctx, p)
		if err != nil {
			return err
		}
		j.mu.Lock()
		j.identifyLocked(p, info.Created)
		p.ready, p.state, p.consumerLimits = true, stateOf(info), limits
		p.messageBytes = max(int64(info.Config.MaxMsgSize), 0)
		done := j.updateWritableLocked()
		j.mu.Unlock()
		j.complete(done)
		if !p.receives {
			p.receives = true
			p.receiving.Go(newReceiver(j, p).run)
		}
		p.receiving.Wake()
	}
	if most := j.link.MaxPayload(); most < natslink.DefaultMaxPayload {
		j.logger.Warn("NATS takes smaller messages than usual: larger packets are refused with 413", "max_payload", most, "max_packet_bytes", most-envelopeOverhead)
	}
	return nil
}

// findFurtherPartitions adds streams of a larger number of partitions, which an earlier
// configuration or other distributors have created, so that the packets in them are delivered.
func (j *Journal) findFurtherPartitions(ctx context.Context) error {
	for i := len(j.partitions); i < j.config.Partitions+maxFurtherPartitions; i++ {
		_, err := j.link.JetStream.Stream(ctx, j.config.streamOf(i))
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return err
		}
		p := newPartition(j.config, i, false)
		j.mu.Lock()
		j.partitions = append(j.partitions, p)
		j.mu.Unlock()
		j.logger.Info("packets of a stream beyond JETSTREAM_PARTITIONS are delivered, too", "stream", p.stream)
	}
	j.furtherFound = true
	return nil
}

// prepareStream creates or checks a stream and its consumer. It also returns the limits of the
// consumer.
func (j *Journal) prepareStream(ctx context.Context, p *partition) (info *jetstream.StreamInfo, limits consumerLimits, err error) {
	want := j.config.streamConfig(p.index)
	stream, err := j.link.JetStream.Stream(ctx, p.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if stream, err = j.link.JetStream.CreateStream(ctx, want); err == nil {
			j.logger.Info("stream made", "stream", p.stream, "replicas", want.Replicas, "max_bytes", want.MaxBytes)
		}
	}
	if err != nil {
		return nil, limits, apiError(err, p.stream)
	}
	info = stream.CachedInfo()
	if err := checkStream(info.Config, want); err != nil {
		return nil, limits, &streamError{err}
	}
	if p.publishes && info.Config.MaxBytes > 0 && info.Config.MaxBytes < want.MaxBytes {
		larger := info.Config
		larger.MaxBytes = want.MaxBytes
		if _, err := j.link.JetStream.UpdateStream(ctx, larger); err != nil {
			j.logger.Warn("a stream cannot be enlarged to its part of JETSTREAM_MAX_BYTES", "stream", p.stream, "max_bytes", info.Config.MaxBytes, "wanted", want.MaxBytes, "error", err)
		}
	}
	limits, err = j.prepareConsumer(ctx, stream, p)
	return info, limits, err
}

// prepareConsumer creates or checks the consumer of a stream, logs the concerns about both, and
// returns the limits of the consumer.
func (j *Journal) prepareConsumer(ctx context.Context, stream jetstream.Stream, p *partition) (consumerLimits, error) {
	consumer, err := stream.Consumer(ctx, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if consumer, err = stream.CreateConsumer(ctx, consumerConfig(p.subject)); err == nil && p.receives {
			j.logger.Warn("the consumer of a stream was gone and is created again: what distributors have claimed of the stream is delivered again", "stream", p.stream, "consumer", durable)
		}
	}
	if err != nil {
		return consumerLimits{}, consumerError(err, p.stream)
	}
	have, settings := consumer.CachedInfo().Config, stream.CachedInfo().Config
	if err := checkConsumer(p.stream, have, consumerConfig(p.subject), j.link.MaxPayload()); err != nil {
		return consumerLimits{}, &streamError{err}
	}
	concerns := append(streamConcerns(settings, j.config.streamConfig(p.index), j.link.MaxPayload()), consumerConcerns(have)...)
	p.reportConcerns(j.logger, concerns)
	return limitsOf(have), nil
}

// consumerError explains the error of a request for a consumer.
func consumerError(err error, stream string) error {
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		return &streamError{holdsBack(stream, rule{name: "deliver_subject", have: "set", want: "none"})}
	}
	return apiError(err, stream)
}

// apiError explains an error of the API of JetStream: as a streamError if it is permanent.
func apiError(err error, stream string) error {
	const (
		codeNotEnabled        = 10076
		codeNotEnabledAccount = 10039
		codeNotClustered      = 10074
		codeNoPeers           = 10005
		codeStorage           = 10047
		codeOverlap           = 10065
	)
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
			return fmt.Errorf("the NATS server has no JetStream (jetstream in its configuration, or -js): %w", err)
		}
		return fmt.Errorf("the API of JetStream: %w", err)
	}
	switch api.ErrorCode {
	case codeNotClustered:
		return &streamError{fmt.Errorf("the stream %s cannot be made: %w: JETSTREAM_REPLICAS must be 1 with a single NATS server", stream, err)}
	case codeStorage:
		return &streamError{fmt.Errorf("the stream %s cannot be made: %w: lower JETSTREAM_MAX_BYTES, or give the NATS servers more max_file_store", stream, err)}
	case codeOverlap, codeNotEnabledAccount:
		return &streamError{fmt.Errorf("the stream %s: %w", stream, err)}
	case codeNoPeers:
		return fmt.Errorf("the stream %s has too few servers that can keep it (JETSTREAM_REPLICAS): %w", stream, err)
	}
	return fmt.Errorf("the stream %s: %w", stream, err)
}

func stateOf(info *jetstream.StreamInfo) streamState {
	s := streamState{
		bytes: int64(info.State.Bytes), limit: info.Config.MaxBytes, messages: int64(info.State.Msgs),
		replicas: info.Config.Replicas, current: 1, leads: true, at: time.Now(),
	}
	if info.State.Msgs > 0 {
		s.first = info.State.FirstTime
	}
	if info.Cluster != nil {
		if info.Cluster.Leader == "" { // then the server that responds is one of the peers
			s.current, s.leads = 0, false
		}
		for _, peer := range info.Cluster.Replicas {
			if peer.Current && !peer.Offline {
				s.current++
			}
		}
	}
	return s
}

// hasQuorum reports whether the stream has a leader, and a majority of the servers that keep it is up
// to date.
func (s streamState) hasQuorum() bool { return s.leads && 2*s.current > s.replicas }

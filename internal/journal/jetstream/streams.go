package jetstream

import (
	"cmp"
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
	// duplicatesWindow is the time for which a stream recognises a repeated envelope, and
	// minDuplicatesWindow the minimum if operators have changed that.
	duplicatesWindow    = 2 * time.Minute
	minDuplicatesWindow = time.Minute
	// minAckWait is the minimum duration of claims if operators have changed it: claims are extended
	// after a third of it, and checked at tendInterval.
	minAckWait = 5 * time.Second
	// minMaxPayload is the minimum of the servers' maximum message size.
	minMaxPayload = 32 << 10
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

// checkStream returns an error if the settings of a stream would lose packets, or store them in a
// way that was not configured.
func checkStream(have, want jetstream.StreamConfig) error {
	for _, rule := range []rule{
		{"storage", have.Storage, want.Storage, have.Storage == want.Storage},
		{"retention", have.Retention, want.Retention, have.Retention == want.Retention},
		{"discard policy", have.Discard, want.Discard, have.Discard == want.Discard},
		{"maximum age", have.MaxAge, "none", have.MaxAge == 0},
		{"acknowledgement of messages", "off", "on", !have.NoAck},
		{"state", "sealed", "open", !have.Sealed},
		{"persist mode", have.PersistMode, want.PersistMode, have.PersistMode == want.PersistMode},
		{"subjects", have.Subjects, want.Subjects, len(have.Subjects) == 1 && have.Subjects[0] == want.Subjects[0]},
		{"mirror or sources", "set", "none", have.Mirror == nil && len(have.Sources) == 0},
		{"maximum of messages per subject", have.MaxMsgsPerSubject, "none", have.MaxMsgsPerSubject <= 0},
		{"maximum message size", have.MaxMsgSize, "none", have.MaxMsgSize <= 0 || have.MaxMsgSize >= envelopeBytes+envelopeOverhead},
		{"subject transform", "set", "none", have.SubjectTransform == nil},
	} {
		if !rule.ok {
			return fmt.Errorf("the stream %s would lose packets: its %s is %v, it must be %v: change it with the nats tool, or name other streams with JETSTREAM_STREAM", have.Name, rule.name, rule.have, rule.want)
		}
	}
	return nil
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
		info, claims, err := j.prepareStream(ctx, p)
		if err != nil {
			return err
		}
		j.mu.Lock()
		j.identifyLocked(p, info.Created)
		p.ready, p.answered, p.state, p.ackWait = true, time.Now(), stateOf(info), claims
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

// checkMaxPayload returns an error if envelopes cannot be sent to a server.
func checkMaxPayload(most int64) error {
	if most >= minMaxPayload {
		return nil
	}
	return &streamError{fmt.Errorf("the NATS server takes messages of at most %d bytes: its max_payload must be at least %d", most, minMaxPayload)}
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

// prepareStream creates or checks a stream and its consumer. It also returns the duration of
// claims, which operators may have changed.
func (j *Journal) prepareStream(ctx context.Context, p *partition) (info *jetstream.StreamInfo, claims time.Duration, err error) {
	want := j.config.streamConfig(p.index)
	stream, err := j.link.JetStream.Stream(ctx, p.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if stream, err = j.link.JetStream.CreateStream(ctx, want); err == nil {
			j.logger.Info("stream made", "stream", p.stream, "replicas", want.Replicas, "max_bytes", want.MaxBytes)
		}
	}
	if err != nil {
		return nil, 0, apiError(err, p.stream)
	}
	info = stream.CachedInfo()
	if err := checkStream(info.Config, want); err != nil {
		return nil, 0, &streamError{err}
	}
	if info.Config.Duplicates < minDuplicatesWindow {
		j.logger.Warn("a stream does not recognise for long that an envelope comes again: packets may be delivered twice", "stream", p.stream, "duplicate_window", info.Config.Duplicates, "min", minDuplicatesWindow)
	}
	if info.Config.Replicas != want.Replicas {
		j.logger.Warn("a stream has another number of replicas than JETSTREAM_REPLICAS", "stream", p.stream, "replicas", info.Config.Replicas, "setting", want.Replicas)
	}
	if p.publishes && info.Config.MaxBytes > 0 && info.Config.MaxBytes < want.MaxBytes {
		larger := info.Config
		larger.MaxBytes = want.MaxBytes
		if _, err := j.link.JetStream.UpdateStream(ctx, larger); err != nil {
			j.logger.Warn("a stream cannot be enlarged to its part of JETSTREAM_MAX_BYTES", "stream", p.stream, "max_bytes", info.Config.MaxBytes, "wanted", want.MaxBytes, "error", err)
		}
	}
	claims, err = j.prepareConsumer(ctx, stream, p)
	return info, claims, err
}

// prepareConsumer creates or checks the consumer of a stream, and returns its ack wait.
func (j *Journal) prepareConsumer(ctx context.Context, stream jetstream.Stream, p *partition) (time.Duration, error) {
	consumer, err := stream.Consumer(ctx, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if consumer, err = stream.CreateConsumer(ctx, consumerConfig(p.subject)); err == nil && p.receives {
			j.logger.Warn("the consumer of a stream was gone and is created again: what distributors have claimed of the stream is delivered again", "stream", p.stream, "consumer", durable)
		}
	}
	if err != nil {
		return 0, apiError(err, p.stream)
	}
	have := consumer.CachedInfo().Config
	if err := checkConsumer(p.stream, have, consumerConfig(p.subject)); err != nil {
		return 0, &streamError{err}
	}
	if have.AckWait < minAckWait {
		j.logger.Warn("claims on the envelopes of a stream are too short to be extended in time: packets may be delivered twice", "stream", p.stream, "consumer", durable, "ack_wait", have.AckWait, "min", minAckWait)
	}
	return have.AckWait, nil
}

// rule is a setting of a stream or of a consumer.
type rule struct {
	name       string
	have, want any
	ok         bool
}

// checkConsumer returns an error if the settings of the consumer of a stream would lose packets.
func checkConsumer(stream string, have, want jetstream.ConsumerConfig) error {
	for _, r := range []rule{
		{"ack policy", have.AckPolicy, want.AckPolicy, have.AckPolicy == want.AckPolicy},
		{"max deliver", have.MaxDeliver, want.MaxDeliver, have.MaxDeliver == want.MaxDeliver},
		{"filter", cmp.Or(have.FilterSubject, fmt.Sprint(have.FilterSubjects)), want.FilterSubject, have.FilterSubject == want.FilterSubject && len(have.FilterSubjects) == 0},
		{"delivery", "of headers only", "of whole messages", !have.HeadersOnly},
	} {
		if !r.ok {
			return fmt.Errorf("the consumer %s of the stream %s would lose packets: its %s is %v, it must be %v: delete it with the nats tool", durable, stream, r.name, r.have, r.want)
		}
	}
	return nil
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
		replicas: info.Config.Replicas, current: 1, at: time.Now(),
	}
	if info.State.Msgs > 0 {
		s.first = info.State.FirstTime
	}
	if info.Cluster != nil {
		for _, peer := range info.Cluster.Replicas {
			if peer.Current && !peer.Offline {
				s.current++
			}
		}
	}
	return s
}

// hasQuorum reports whether a majority of the servers that keep the stream is up to date.
func (s streamState) hasQuorum() bool { return 2*s.current > s.replicas }

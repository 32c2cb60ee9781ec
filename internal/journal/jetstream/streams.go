package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// durable is the name of the consumer of each stream, which all distributors share.
	durable = "distributors"
	// maxAckPending is the maximum of envelopes of a stream that all distributors together
	// have claimed.
	maxAckPending = 256
	// duplicatesWindow is for how long a stream recognises an envelope that comes again.
	duplicatesWindow = 2 * time.Minute
	// maxOldPartitions bounds the search for streams of a larger number of partitions.
	maxOldPartitions = 64
)

// streamError is a setting, or a refusal by NATS, that does not pass by itself.
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

// checkStream returns an error if the settings of a stream would lose packets, or let them be
// stored in a way that was not asked for.
func checkStream(have, want jetstream.StreamConfig) error {
	for _, rule := range []struct {
		name       string
		have, want any
		ok         bool
	}{
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
	} {
		if !rule.ok {
			return fmt.Errorf("the stream %s would lose packets: its %s is %v, it must be %v: change it with the nats tool, or name other streams with JETSTREAM_STREAM", have.Name, rule.name, rule.have, rule.want)
		}
	}
	return nil
}

// prepare makes or checks the streams and consumers that are not ready.
func (j *Journal) prepare(ctx context.Context) error {
	for !j.link.IsConnected() {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return j.cause(err)
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
		if pause(ctx, 100*time.Millisecond) != nil {
			return err
		}
	}
}

// pause waits, and returns the error of the context if that ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
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
	if err := j.findOldPartitions(ctx); err != nil {
		return apiError(err, "")
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
		p.ready, p.answered, p.state, p.ackWait = true, time.Now(), stateOf(info), claims
		done := j.updateWritableLocked()
		j.mu.Unlock()
		j.complete(done)
		p.receiving.running.Go(func() { (&receiver{journal: j, partition: p}).run() })
	}
	return nil
}

// findOldPartitions adds streams that are left of a larger number of partitions, so that
// what is in them is delivered. Once the journal runs, there are no others.
func (j *Journal) findOldPartitions(ctx context.Context) error {
	if j.oldFound {
		return nil
	}
	for i := j.config.Partitions; i < j.config.Partitions+maxOldPartitions; i++ {
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
	j.oldFound = true
	return nil
}

// prepareStream makes or checks a stream and its consumer. It returns for how long claims last,
// too: operators may have changed that.
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

// prepareConsumer makes or checks the consumer of a stream, and returns its ack wait.
func (j *Journal) prepareConsumer(ctx context.Context, stream jetstream.Stream, p *partition) (time.Duration, error) {
	consumer, err := stream.Consumer(ctx, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = stream.CreateConsumer(ctx, consumerConfig(p.subject))
	}
	if err != nil {
		return 0, apiError(err, p.stream)
	}
	have := consumer.CachedInfo().Config
	if have.AckPolicy != jetstream.AckExplicitPolicy || have.MaxDeliver != -1 {
		return 0, &streamError{fmt.Errorf("the consumer %s of the stream %s would lose packets: its ack policy is %v and its max deliver %d, they must be %v and -1: delete it with the nats tool",
			durable, p.stream, have.AckPolicy, have.MaxDeliver, jetstream.AckExplicitPolicy)}
	}
	return have.AckWait, nil
}

// apiError explains an error of the API of JetStream, and tells those that do not pass.
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
		replicas: info.Config.Replicas, current: 1,
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

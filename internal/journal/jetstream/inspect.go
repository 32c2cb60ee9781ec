package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/natslink"
)

// Report describes the streams of a configuration.
type Report struct {
	Servers  string `json:"servers"`
	Survives string `json:"survives"`
	Version  int    `json:"format_version"`
	// MaxPayload is the size of the largest message that the servers accept.
	MaxPayload int64          `json:"max_payload"`
	Streams    []StreamReport `json:"streams"`
	// Packets, Messages and Bytes (of bodies) are the volume that no distributor has delivered;
	// Check does not count them.
	Packets  int64      `json:"packets"`
	Messages int64      `json:"messages"`
	Bytes    int64      `json:"bytes"`
	Oldest   *time.Time `json:"oldest,omitempty"`
	Lost     int64      `json:"lost_packets"`
	Damages  []Damage   `json:"damages"`
}

// StreamReport describes one stream.
type StreamReport struct {
	Name      string `json:"name"`
	Missing   bool   `json:"missing,omitempty"` // a start creates the stream
	Envelopes int64  `json:"envelopes"`
	Bytes     int64  `json:"bytes"`
	MaxBytes  int64  `json:"max_bytes"`
	Replicas  int    `json:"replicas"`
	Current   int    `json:"current_replicas"`
	// Claimed envelopes are those that distributors have received and not acknowledged.
	Claimed     int64 `json:"claimed_envelopes"`
	Redelivered int64 `json:"redelivered_envelopes"`
	// Concerns are settings with which a distributor works, although not as well as with others.
	Concerns []Concern `json:"concerns,omitempty"`

	first, last uint64
	subject     string
	refused     error // the first setting that a start refuses
}

// Damage is an envelope with packets that cannot be read.
type Damage struct {
	Stream   string `json:"stream"`
	Sequence uint64 `json:"sequence"`
	Packets  int    `json:"packets"` // a minimum
	Reason   string `json:"reason"`
}

// reader reads streams without claiming their envelopes.
type reader struct {
	config Config
	conn   *nats.Conn
	js     jetstream.JetStream
}

func newReader(c Config) (*reader, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	conn, err := nats.Connect(string(c.Servers), append(c.Options(), nats.Name("logstreamer reader"), nats.Timeout(natslink.ConnectTimeout))...)
	if err != nil {
		return nil, fmt.Errorf("NATS_URL %s: %w", c.Servers, err)
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(natslink.APITimeout))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &reader{c, conn, js}, nil
}

// Check connects to NATS and checks the existing streams. It creates and changes nothing.
func Check(ctx context.Context, c Config) (Report, error) {
	r, err := newReader(c)
	if err != nil {
		return Report{}, err
	}
	defer r.conn.Close()
	found, err := r.report(ctx)
	for _, one := range found.Streams {
		err = cmp.Or(err, one.refused)
	}
	return found, err
}

// report describes the streams, whatever their settings are.
func (r *reader) report(ctx context.Context) (Report, error) {
	found := Report{Servers: r.conn.ConnectedUrlRedacted(), Version: envelopeVersion, Streams: []StreamReport{}, Damages: []Damage{}, MaxPayload: r.conn.MaxPayload()}
	if err := checkMaxPayload(found.MaxPayload); err != nil {
		return found, err
	}
	for i := range r.config.Partitions + maxFurtherPartitions {
		one, err := r.stream(ctx, i)
		if err != nil {
			return found, err
		}
		if one.Missing && i >= r.config.Partitions {
			break
		}
		found.Streams = append(found.Streams, one)
	}
	replicas := r.config.Replicas
	for _, one := range found.Streams {
		if !one.Missing {
			replicas = min(replicas, one.Replicas)
		}
	}
	found.Survives = survives(r.config.readSync(ctx), replicas)
	return found, nil
}

func (r *reader) stream(ctx context.Context, partition int) (StreamReport, error) {
	want := r.config.streamConfig(partition)
	one := StreamReport{Name: want.Name, subject: want.Subjects[0]}
	stream, err := r.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		one.Missing = true
		if want.Replicas > 1 && r.conn.ConnectedClusterName() == "" {
			one.refused = fmt.Errorf("the stream %s cannot be made: the NATS server is in no cluster: JETSTREAM_REPLICAS is %d and must be 1", want.Name, want.Replicas)
		}
		return one, nil
	}
	if err != nil {
		return one, apiError(err, want.Name)
	}
	info := stream.CachedInfo()
	state := stateOf(info)
	one.Envelopes, one.Bytes, one.MaxBytes, one.Replicas, one.Current = state.messages, state.bytes, state.limit, state.replicas, state.current
	one.first, one.last = info.State.FirstSeq, info.State.LastSeq
	one.refused = checkStream(info.Config, want)
	one.Concerns = streamConcerns(info.Config, want, r.conn.MaxPayload())
	err = r.consumer(ctx, stream, &one)
	return one, err
}

// consumer adds the consumer of a stream to its report, if there is one.
func (r *reader) consumer(ctx context.Context, stream jetstream.Stream, one *StreamReport) error {
	consumer, err := stream.Consumer(ctx, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		one.refused = cmp.Or(one.refused, consumerError(err, one.Name))
		return nil
	}
	if err != nil {
		return consumerError(err, one.Name)
	}
	now := consumer.CachedInfo()
	one.Claimed, one.Redelivered = int64(now.NumAckPending), int64(now.NumRedelivered)
	one.Concerns = append(one.Concerns, consumerConcerns(now.Config)...)
	one.refused = cmp.Or(one.refused, checkConsumer(one.Name, now.Config, consumerConfig(one.subject), r.conn.MaxPayload()))
	return nil
}

// Inspect reads all streams and verifies the checksum of each packet. It claims and changes
// nothing; while distributors run, the report is approximate.
func Inspect(ctx context.Context, c Config) (Report, error) {
	return read(ctx, c, func(*record) error { return nil })
}

// Verify does what Inspect does and also validates each packet. The error has one line; it is
// nil if all packets are readable and valid.
func Verify(ctx context.Context, c Config) (Report, error) {
	invalid := 0
	found, err := read(ctx, c, func(r *record) error {
		if !r.isPacket() {
			invalid++
		}
		return nil
	})
	if err == nil && (found.Lost > 0 || invalid > 0) {
		err = fmt.Errorf("%s: %d undelivered packets are lost to damage and %d are invalid", c.Stream, found.Lost, invalid)
	}
	return found, err
}

// Export writes the packets that no distributor has delivered as NDJSON. It compacts packets
// with line breaks and copies others unchanged.
func Export(ctx context.Context, c Config, w io.Writer) error {
	exporter := journal.Exporter{W: w}
	found, err := read(ctx, c, func(r *record) error { return exporter.Write(r.body) })
	if err == nil && found.Lost > 0 {
		err = fmt.Errorf("%s: %d undelivered packets are lost to damage", c.Stream, found.Lost)
	}
	return err
}

// read calls visit for each readable packet of the streams.
func read(ctx context.Context, c Config, visit func(*record) error) (Report, error) {
	r, err := newReader(c)
	if err != nil {
		return Report{}, err
	}
	defer r.conn.Close()
	found, err := r.report(ctx)
	if err != nil {
		return found, err
	}
	if !slices.ContainsFunc(found.Streams, func(one StreamReport) bool { return !one.Missing }) {
		return found, fmt.Errorf("there is no stream %s: JETSTREAM_STREAM is the first part of the streams' names", c.streamOf(0))
	}
	for _, one := range found.Streams {
		if !one.Missing && one.Envelopes > 0 {
			if err := r.readStream(ctx, one, &found, visit); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

func (r *reader) readStream(ctx context.Context, one StreamReport, found *Report, visit func(*record) error) error {
	stream, err := r.js.Stream(ctx, one.Name)
	if err != nil {
		return apiError(err, one.Name)
	}
	for next := one.first; next <= one.last; {
		m, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(one.subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return apiError(err, one.Name)
		}
		next = m.Sequence + 1
		if err := found.add(one.Name, m, visit); err != nil {
			return err
		}
	}
	return nil
}

// add adds an envelope to the report.
func (r *Report) add(stream string, m *jetstream.RawStreamMsg, visit func(*record) error) error {
	damage := Damage{Stream: stream, Sequence: m.Sequence}
	e, err := parseEnvelope(m.Data)
	if err != nil {
		damage.Packets, damage.Reason = 1, err.Error()
	}
	for i := range e.records {
		one := &e.records[i]
		if one.damaged {
			damage.Packets++
			damage.Reason = "the checksum of a packet is wrong, or it is cut off"
			continue
		}
		r.Packets++
		r.Messages += int64(one.info.Messages)
		r.Bytes += int64(len(one.body))
		if accepted := one.accepted.UTC(); r.Oldest == nil || accepted.Before(*r.Oldest) {
			r.Oldest = &accepted
		}
		if err := visit(one); err != nil {
			return err
		}
	}
	if damage.Packets > 0 {
		r.Damages = append(r.Damages, damage)
		r.Lost += int64(damage.Packets)
	}
	return nil
}

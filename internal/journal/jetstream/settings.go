package jetstream

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Operators may create and change streams and consumers. A setting with which packets would be lost
// or never delivered is refused; with others the journal works, and reports its concerns.

const (
	// minDuplicatesWindow is the minimum time for which a stream should recognise a repeated
	// envelope.
	minDuplicatesWindow = time.Minute
	// minAckWait is the minimum duration of claims: they are extended after a third of it, and
	// checked at maintainInterval.
	minAckWait = 5 * time.Second
	// minAckPending, minPulls and minPullMessages are the minimum numbers of claims, of pulls at
	// the same time, and of envelopes of a pull, with which several distributors are fast.
	minAckPending   = 64
	minPulls        = 64
	minPullMessages = 16
	// minPullExpires is the minimum duration of a pull, which has heartbeats.
	minPullExpires = 2 * heartbeat
	// minMaxPayload is the minimum of the servers' maximum message size.
	minMaxPayload = 32 << 10
)

// rule is a required setting of a stream or of a consumer.
type rule struct {
	name       string
	have, want any
	ok         bool
}

// firstBroken returns the first rule that is not kept.
func firstBroken(rules []rule) (broken rule, found bool) {
	if i := slices.IndexFunc(rules, func(r rule) bool { return !r.ok }); i >= 0 {
		return rules[i], true
	}
	return rule{}, false
}

// checkMaxPayload returns an error if envelopes cannot be sent to a server.
func checkMaxPayload(most int64) error {
	if most >= minMaxPayload {
		return nil
	}
	return &streamError{fmt.Errorf("the NATS server takes messages of at most %d bytes: its max_payload must be at least %d", most, minMaxPayload)}
}

// checkStream returns an error if the settings of a stream would lose packets, or store them in a
// way that was not configured.
func checkStream(have, want jetstream.StreamConfig) error {
	broken, found := firstBroken([]rule{
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
	})
	if !found {
		return nil
	}
	return fmt.Errorf("the stream %s would lose packets: its %s is %v, it must be %v: change it with the nats tool, or name other streams with JETSTREAM_STREAM", have.Name, broken.name, broken.have, broken.want)
}

// checkConsumer returns an error if the settings of the consumer of a stream would lose packets, or
// if pulls would not get them. maxPayload is the maximum message of the server.
func checkConsumer(stream string, have, want jetstream.ConsumerConfig, maxPayload int64) error {
	if broken, found := firstBroken([]rule{
		{"ack policy", have.AckPolicy, want.AckPolicy, have.AckPolicy == want.AckPolicy},
		{"max deliver", have.MaxDeliver, want.MaxDeliver, have.MaxDeliver == want.MaxDeliver},
		{"filter", cmp.Or(have.FilterSubject, fmt.Sprint(have.FilterSubjects)), want.FilterSubject, have.FilterSubject == want.FilterSubject && len(have.FilterSubjects) == 0},
		{"delivery", "of headers only", "of whole messages", !have.HeadersOnly},
	}); found {
		return fmt.Errorf("the consumer %s of the stream %s would lose packets: its %s is %v, it must be %v: delete it with the nats tool", durable, stream, broken.name, broken.have, broken.want)
	}
	least := maxPayload + messageOverhead
	if broken, found := firstBroken([]rule{
		{"replay_policy", have.ReplayPolicy, want.ReplayPolicy, have.ReplayPolicy == want.ReplayPolicy},
		{"priority_policy", "set", "none", have.PriorityPolicy == jetstream.PriorityPolicyNone},
		{"max_bytes", have.MaxRequestMaxBytes, fmt.Sprintf("0 or at least %d", least), have.MaxRequestMaxBytes <= 0 || int64(have.MaxRequestMaxBytes) >= least},
		{"max_expires", have.MaxRequestExpires, fmt.Sprintf("0 or at least %v", minPullExpires), have.MaxRequestExpires <= 0 || have.MaxRequestExpires >= minPullExpires},
	}); found {
		return holdsBack(stream, broken)
	}
	return nil
}

// holdsBack is the error of a consumer from which pulls would not get all packets.
func holdsBack(stream string, broken rule) error {
	return fmt.Errorf("the consumer %s of the stream %s would hold packets back: its %s is %v, it must be %v: change it with the nats tool, or delete it", durable, stream, broken.name, broken.have, broken.want)
}

// Concern is a setting with which the journal works, although not as well as with another one.
type Concern struct {
	Effect  string `json:"effect"`
	Setting string `json:"setting"`
	Have    any    `json:"have"`
	Want    any    `json:"want"`
}

// String describes the concern.
func (c Concern) String() string {
	return fmt.Sprintf("%s: %s is %v, it should be %v", c.Effect, c.Setting, c.Have, c.Want)
}

// concern returns the Concern about a rule, nil if the rule is kept.
func concern(effect string, r rule) []Concern {
	if r.ok {
		return nil
	}
	if duration, ok := r.have.(time.Duration); ok {
		r.have = duration.String() // as durations are in all JSON
	}
	return []Concern{{effect, r.name, r.have, r.want}}
}

// streamConcerns returns the concerns about a stream. maxPayload is the maximum message of the
// server.
func streamConcerns(have, want jetstream.StreamConfig, maxPayload int64) []Concern {
	return slices.Concat(
		concern("packets may be delivered twice, since the stream does not recognise for long that an envelope comes again",
			rule{"duplicate_window", have.Duplicates, fmt.Sprintf("at least %v", minDuplicatesWindow), have.Duplicates >= minDuplicatesWindow}),
		concern("the stream has another number of replicas than JETSTREAM_REPLICAS",
			rule{"num_replicas", have.Replicas, want.Replicas, have.Replicas == want.Replicas}),
		concern("larger packets than the stream takes are refused with 413",
			rule{"max_msg_size", have.MaxMsgSize, fmt.Sprintf("-1 or at least %d", maxPayload), have.MaxMsgSize <= 0 || int64(have.MaxMsgSize) >= maxPayload}),
	)
}

// consumerConcerns returns the concerns about a consumer.
func consumerConcerns(have jetstream.ConsumerConfig) []Concern {
	const twice, slow = "packets may be delivered twice, since ", "packets may be delivered slowly, since "
	claims := limitsOf(have).ackWait
	return slices.Concat(
		concern(twice+"claims are too short to be extended in time",
			rule{"ack_wait", claims, fmt.Sprintf("at least %v", minAckWait), claims >= minAckWait}),
		concern(twice+"the consumer is deleted when no distributor pulls for that long",
			rule{"inactive_threshold", have.InactiveThreshold, "none", have.InactiveThreshold <= 0}),
		concern(twice+"a restart of NATS forgets the claims",
			rule{"mem_storage", have.MemoryStorage, false, !have.MemoryStorage}),
		concern(slow+"all distributors together may claim few envelopes",
			rule{"max_ack_pending", have.MaxAckPending, fmt.Sprintf("at least %d", minAckPending), have.MaxAckPending <= 0 || have.MaxAckPending >= minAckPending}),
		concern(slow+"few distributors may pull at the same time",
			rule{"max_waiting", have.MaxWaiting, fmt.Sprintf("at least %d", minPulls), have.MaxWaiting <= 0 || have.MaxWaiting >= minPulls}),
		concern(slow+"a pull gets few envelopes",
			rule{"max_batch", have.MaxRequestBatch, fmt.Sprintf("0 or at least %d", minPullMessages), have.MaxRequestBatch <= 0 || have.MaxRequestBatch >= minPullMessages}),
		concern("nothing is delivered while the consumer is paused",
			rule{"pause_until", have.PauseUntil, "none", have.PauseUntil == nil || !have.PauseUntil.After(time.Now())}),
	)
}

// reportConcerns logs the concerns about a stream and its consumer, unless they are the same as
// before.
func (p *partition) reportConcerns(logger *slog.Logger, concerns []Concern) {
	text := fmt.Sprint(concerns)
	if text == p.concerns {
		return
	}
	p.concerns = text
	for _, c := range concerns {
		logger.Warn(c.Effect, "stream", p.stream, "setting", c.Setting, "have", c.Have, "want", c.Want)
	}
}

// consumerLimits are settings of a consumer that bound claims and pulls.
type consumerLimits struct {
	ackWait      time.Duration // duration of claims that are not extended
	pullMessages int
	pullBytes    int
	pullExpires  time.Duration
}

func limitsOf(c jetstream.ConsumerConfig) consumerLimits {
	l := consumerLimits{ackWait: c.AckWait, pullMessages: maxPullMessages, pullBytes: math.MaxInt, pullExpires: pullExpires}
	if len(c.BackOff) > 0 {
		l.ackWait = min(l.ackWait, slices.Min(c.BackOff))
	}
	if c.MaxRequestBatch > 0 {
		l.pullMessages = min(l.pullMessages, c.MaxRequestBatch)
	}
	if c.MaxRequestMaxBytes > 0 {
		l.pullBytes = c.MaxRequestMaxBytes
	}
	if c.MaxRequestExpires > 0 {
		l.pullExpires = min(l.pullExpires, c.MaxRequestExpires)
	}
	return l
}

package loki

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/logstreamer/logstreamer/internal/protobuf"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// The labels with a record's service, instance and level, in order of precedence.
var (
	serviceLabels  = []string{"service_name", "service", "app", "application", "job", "container"}
	instanceLabels = []string{"instance", "pod", "hostname", "host"}
	levelLabels    = []string{"level", "log.level", "severity", "detected_level", "status", "PRIORITY"}
)

// plainLevels is the number of levelLabels, the first ones, whose value is kept as the level even if
// it is no known name.
const plainLevels = 3

// lineFields find the level in a line that is a JSON object.
var lineFields = record.NewDocumentFields()

// translator makes packets of pushes. It is reused, and must not be used concurrently.
type translator struct {
	request  *receiver.Request
	group    *record.Group
	labels   record.Message // the metadata of the stream
	levels   [][]byte       // by the index of levelLabels, of the stream
	level    [][]byte       // of the record
	service  label
	instance label
	emitter  []byte

	message  record.Message
	document record.Document
	scratch  []byte
}

// label is the value of a label for the emitter_id, and its rank: the lowest rank takes precedence.
type label struct {
	rank  int
	value []byte
}

func (l *label) reset() { l.rank, l.value = math.MaxInt, l.value[:0] }

// rankOf returns the index of a name, or -1.
func rankOf(name []byte, among []string) int {
	for n, one := range among {
		if string(name) == one {
			return n
		}
	}
	return -1
}

// offer replaces the value if the label of the new one has a lower rank.
func (l *label) offer(name, value []byte, among []string) {
	rank := rankOf(name, among)
	if rank >= 0 && rank < l.rank && len(value) > 0 {
		l.rank, l.value = rank, append(l.value[:0], value...)
	}
}

func (t *translator) begin(request *receiver.Request) {
	t.request = request
	if t.levels == nil {
		t.levels, t.level = make([][]byte, len(levelLabels)), make([][]byte, len(levelLabels))
	}
}

// trim releases memory that a large request needed.
func (t *translator) trim() {
	t.request, t.group = nil, nil
	t.labels.Trim()
	t.message.Trim()
}

// beginStream starts the labels of a stream.
func (t *translator) beginStream() {
	t.labels.Begin(1)
	t.service.reset()
	t.instance.reset()
	for n := range t.levels {
		t.levels[n] = t.levels[n][:0]
	}
}

// addLabel adds a label of the stream.
func (t *translator) addLabel(name, value []byte) {
	t.offerLabel(name, value)
	t.labels.Add(name, value)
}

// offerLabel uses a label for the emitter and the level.
func (t *translator) offerLabel(name, value []byte) {
	t.service.offer(name, value, serviceLabels)
	t.instance.offer(name, value, instanceLabels)
	if n := rankOf(name, levelLabels); n >= 0 {
		t.levels[n] = append(t.levels[n][:0], value...)
	}
}

// endLabels sets the group of the stream's records, once all labels are added. The error means that
// there are too many for any record.
func (t *translator) endLabels() error {
	if !t.request.Packets.CanRepeat(&t.labels) {
		return errManyLabels
	}
	t.emitter = record.AppendInstance(append(t.emitter[:0], t.service.value...), t.instance.value, t.request.Client)
	t.group = t.request.Packets.Group(t.emitter)
	return nil
}

// beginRecord starts a record with its time in nanoseconds since 1970, or 0.
func (t *translator) beginRecord(nano int64) {
	t.request.Begin(&t.message, nano)
	t.message.SetString("input", "loki")
	t.message.AddFrom(&t.labels)
	copy(t.level, t.levels)
}

// addMetadata adds structured metadata to the record.
func (t *translator) addMetadata(name, value []byte) {
	t.offerLevel(name, value)
	t.message.Add(name, value)
}

func (t *translator) offerLevel(name, value []byte) {
	if n := rankOf(name, levelLabels); n >= 0 {
		t.level[n] = value
	}
}

// endRecord adds the record to its packet.
func (t *translator) endRecord(line []byte) error {
	t.message.SetBody(line)
	t.setLevel(line)
	return t.request.Add(t.group, &t.message)
}

// setLevel sets the level from the labels, which remain metadata, or from the line if that is a JSON
// object.
func (t *translator) setLevel(line []byte) {
	for _, text := range t.level {
		if level := record.LevelOf(text); level != "" {
			t.message.SetLevel(level)
			return
		}
	}
	for _, text := range t.level[:plainLevels] {
		if len(text) > 0 {
			t.message.SetLevelText(text)
			return
		}
	}
	if len(line) == 0 || line[0] != '{' {
		return
	}
	if isObject, err := t.document.Parse(line, lineFields); isObject && err == nil {
		t.document.SetTo(&t.message)
	}
}

var (
	errPush     = errors.New("the body is no protobuf message logproto.PushRequest")
	errNegative = errors.New("a timestamp is before 1970 or too far in the future")
	// errManyLabels is the reason for which the records of a stream are rejected.
	errManyLabels = fmt.Errorf("the labels of a stream are larger than half a packet: %w", record.ErrTooLarge)
)

// push translates a protobuf message.
func (t *translator) push(message []byte) error {
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		if f.Tag != pushStreams {
			continue
		}
		if err := t.stream(f.Text); err != nil {
			return err
		}
	}
	if f.Malformed {
		return errPush
	}
	return nil
}

// stream translates a stream: first its labels, wherever they are, and then its entries.
func (t *translator) stream(message []byte) error {
	var labels []byte
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		if f.Tag == streamLabels {
			labels = f.Text
		}
	}
	if f.Malformed {
		return errPush
	}
	t.beginStream()
	err := parseLabels(string(labels), t.addLabel)
	if err == nil {
		err = t.endLabels()
	}
	if err != nil {
		return t.request.Reject(countEntries(message), err)
	}
	t.request.Packets.Expect(len(message) * 5 / 2)
	f = protobuf.Fields{Rest: message}
	for f.Next() {
		if f.Tag != streamEntries {
			continue
		}
		if err := t.entry(f.Text); err != nil {
			return err
		}
	}
	return nil
}

// countEntries returns the number of entries of a stream.
func countEntries(message []byte) (count int) {
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		if f.Tag == streamEntries {
			count++
		}
	}
	return count
}

// entry translates an entry, or rejects it if only its time is wrong.
func (t *translator) entry(message []byte) error {
	var time, line []byte
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case entryTime:
			time = f.Text
		case entryLine:
			line = f.Text
		}
	}
	nano, err := nanoseconds(time)
	switch {
	case f.Malformed || errors.Is(err, errPush):
		return errPush
	case err != nil:
		return t.request.Reject(1, err)
	}
	t.beginRecord(nano)
	f = protobuf.Fields{Rest: message}
	for f.Next() {
		if f.Tag == entryMetadata && !t.pair(f.Text) {
			return errPush
		}
	}
	return t.endRecord(line)
}

// pair adds a pair of structured metadata, unless it is malformed.
func (t *translator) pair(message []byte) bool {
	var name, value []byte
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case pairName:
			name = f.Text
		case pairValue:
			value = f.Text
		}
	}
	t.addMetadata(name, value)
	return !f.Malformed
}

// nanoseconds returns the time of a google.protobuf.Timestamp, or 0 for none.
func nanoseconds(message []byte) (int64, error) {
	var seconds, nanos int64
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case timeSeconds:
			seconds = int64(f.Number)
		case timeNanos:
			nanos = int64(int32(f.Number))
		}
	}
	const perSecond = int64(time.Second)
	switch {
	case f.Malformed:
		return 0, errPush
	case seconds < 0 || seconds >= math.MaxInt64/perSecond || nanos < 0 || nanos >= perSecond:
		return 0, errNegative
	}
	return seconds*perSecond + nanos, nil
}

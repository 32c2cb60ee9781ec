package loki

import (
	"errors"
	"math"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// The labels that name a record's service and instance, in the order in which they count, and
// those that tell its level.
var (
	serviceLabels  = []string{"service_name", "service", "app", "application", "job", "container"}
	instanceLabels = []string{"instance", "pod", "hostname", "host"}
	levelLabels    = []string{"level", "log.level", "severity", "detected_level", "status", "PRIORITY"}
)

// plainLevels is how many of levelLabels tell the level even if its name is not known.
const plainLevels = 3

// lineFields find the level in a line that is a JSON object.
var lineFields = record.NewDocumentFields()

// translator makes packets of pushes. It is reused, and must not be used concurrently.
type translator struct {
	packets *record.Packets
	sender  netip.Addr
	arrival time.Time

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
	untimed  bool // a record has no timestamp
	skewed   int  // records
}

// label is the value of a label that names the emitter, and how many others count before it.
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

// offer takes a value if its label counts before that of the present value.
func (l *label) offer(name, value []byte, among []string) {
	rank := rankOf(name, among)
	if rank >= 0 && rank < l.rank && len(value) > 0 {
		l.rank, l.value = rank, append(l.value[:0], value...)
	}
}

func (t *translator) begin(packets *record.Packets, sender netip.Addr, arrival time.Time) {
	t.packets, t.sender, t.arrival, t.untimed, t.skewed = packets, sender, arrival, false, 0
	if t.levels == nil {
		t.levels, t.level = make([][]byte, len(levelLabels)), make([][]byte, len(levelLabels))
	}
}

// trim releases memory that a large request needed.
func (t *translator) trim() {
	t.packets, t.group = nil, nil
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
	t.service.offer(name, value, serviceLabels)
	t.instance.offer(name, value, instanceLabels)
	if n := rankOf(name, levelLabels); n >= 0 {
		t.levels[n] = append(t.levels[n][:0], value...)
	}
	t.labels.Add(name, value)
}

// endLabels is called before the records of a stream.
func (t *translator) endLabels() {
	t.emitter = record.AppendEmitter(t.emitter[:0], t.service.value, t.instance.value, t.sender)
	t.group = t.packets.Group(t.emitter)
}

// beginRecord starts a record with its time in nanoseconds since 1970, or 0.
func (t *translator) beginRecord(nano int64) {
	t.untimed = t.untimed || nano <= 0
	if t.message.BeginAt(nano, t.arrival) {
		t.skewed++
	}
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
	return t.group.Add(&t.message)
}

// setLevel sets the level by the labels, which keep its text, or by the line if that is a JSON
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
)

// push translates a protobuf message.
func (t *translator) push(message []byte) error {
	f := fields{rest: message}
	for f.next() {
		if f.tag != pushStreams {
			continue
		}
		if err := t.stream(f.bytes); err != nil {
			return err
		}
	}
	if f.malformed {
		return errPush
	}
	return nil
}

// stream translates a stream: first its labels, wherever they are, and then its entries.
func (t *translator) stream(message []byte) error {
	var labels []byte
	f := fields{rest: message}
	for f.next() {
		if f.tag == streamLabels {
			labels = f.bytes
		}
	}
	if f.malformed {
		return errPush
	}
	t.beginStream()
	if err := parseLabels(string(labels), t.addLabel); err != nil {
		return err
	}
	t.endLabels()
	t.packets.Expect(len(message) * 5 / 2)
	f = fields{rest: message}
	for f.next() {
		if f.tag != streamEntries {
			continue
		}
		if err := t.entry(f.bytes); err != nil {
			return err
		}
	}
	return nil
}

func (t *translator) entry(message []byte) error {
	var time, line []byte
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case entryTime:
			time = f.bytes
		case entryLine:
			line = f.bytes
		}
	}
	nano, err := nanoseconds(time)
	if f.malformed || err != nil {
		return errors.Join(errPush, err)
	}
	t.beginRecord(nano)
	f = fields{rest: message}
	for f.next() {
		if f.tag == entryMetadata && !t.pair(f.bytes) {
			return errPush
		}
	}
	return t.endRecord(line)
}

// pair adds a pair of structured metadata, unless it is malformed.
func (t *translator) pair(message []byte) bool {
	var name, value []byte
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case pairName:
			name = f.bytes
		case pairValue:
			value = f.bytes
		}
	}
	t.addMetadata(name, value)
	return !f.malformed
}

// nanoseconds returns the time of a google.protobuf.Timestamp, or 0 for none.
func nanoseconds(message []byte) (int64, error) {
	var seconds, nanos int64
	f := fields{rest: message}
	for f.next() {
		switch f.tag {
		case timeSeconds:
			seconds = int64(f.number)
		case timeNanos:
			nanos = int64(int32(f.number))
		}
	}
	const perSecond = int64(time.Second)
	switch {
	case f.malformed:
		return 0, errPush
	case seconds < 0 || seconds >= math.MaxInt64/perSecond || nanos < 0 || nanos >= perSecond:
		return 0, errNegative
	}
	return seconds*perSecond + nanos, nil
}

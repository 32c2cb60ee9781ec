package otlp

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/protobuf"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

const (
	// maxHeadBytes bounds the part of a packet beside its messages, so that many small records of
	// one large resource do not become much larger than their request.
	maxHeadBytes = 256 << 10
	// maxScopes and maxScopesBytes bound the scopes of one packet for the same reason.
	maxScopes      = 32
	maxScopesBytes = 32 << 10
	// maxCopyBytes bounds the values that are copied into each message.
	maxCopyBytes = 1 << 10
	// firstGrowth is the approximate number of bytes of JSON for one byte of protobuf, with copied
	// values.
	firstGrowth = 3
	// growthMargin is the increase over the recent growth for which memory is expected.
	growthMargin = 1.0 / 32
	millisecond  = uint64(time.Millisecond)
)

// maxAttributes bounds the attributes of a record, a scope and a resource: each takes some 100 bytes
// of memory, and an empty one arrives in two.
const maxAttributes = 1 << 16

// errAttributes is the reason for which a record is rejected, or the records of a resource or a scope.
var errAttributes = fmt.Errorf("%w: there are more than %d attributes", record.ErrTooLarge, maxAttributes)

// errHead is the reason for which records of a resource or a scope are rejected.
var errHead = errors.New("the attributes of the resource or of the scope are larger than 262144 bytes")

// summary has the results of the records of a request.
type summary struct {
	records int
	// rejected is the number of records that are dropped for good; why is the reason of the first.
	rejected int
	why      error
	// untimed is set if a record has no timestamp of its own.
	untimed bool
}

func (s *summary) reject(records int, why error) {
	s.rejected += records
	if s.why == nil {
		s.why = why
	}
}

// translator translates one request after another. It must not be used concurrently.
type translator struct {
	into    *record.Packets
	sender  []byte // the emitter of resources without one
	now     time.Time
	summary summary

	resource resource
	scopes   []scope // of the current packets
	// strict is set while any receiver reads the content of the packets from the ResourceLogs.
	strict     bool
	group      *record.Group
	head       []byte
	message    record.Message
	attributes []attribute
	text       []byte
	// growth is the recent number of bytes of JSON for one byte of protobuf.
	growth float64
}

// attribute is a KeyValue.
type attribute struct {
	key   []byte
	value otlp.Value
}

// scope is a ScopeLogs.
type scope struct {
	logs    []byte // all of it
	records int
	head    []byte // as JSON, without the index of the scope
	members []byte // metadata of each message
	empty   bool
	strict  bool // see translator
}

func newTranslator() *translator {
	t := &translator{growth: firstGrowth}
	t.message.Copies = true
	return t
}

// errWhole is returned if the origins of packets that are only measured would not contain all their
// data.
var errWhole = errors.New("the packets of the request must be written")

// translate adds the records of an ExportLogsServiceRequest, parts of which become origins of
// packets. The error is otlp.ErrMalformed, a record.UnavailableError or errWhole; the packets are
// not complete then.
func (t *translator) translate(request []byte, into *record.Packets, sender []byte, now time.Time) (summary, error) {
	t.into, t.sender, t.now, t.summary = into, sender, now, summary{}
	t.message.Measures = into.Measures()
	defer func() { t.into, t.sender, t.group, t.scopes = nil, nil, nil, t.scopes[:0] }() // an error may leave some
	f := protobuf.Fields{Rest: request}
	for rest := request; f.Next(); rest = f.Rest {
		if f.Tag == otlp.RequestResourceLogs {
			before := t.summary
			if err := t.resourceLogs(f.Text); err != nil {
				return t.summary, err
			}
			if t.strict && t.group != nil && t.summary.rejected == before.rejected {
				field := rest[:len(rest)-len(f.Rest)]
				t.group.SetOrigin(field, t.summary.records-before.records)
			} else if into.Measures() {
				return t.summary, errWhole
			}
		}
	}
	return t.summary, malformed(&f)
}

func malformed(f *protobuf.Fields) error {
	if f.Malformed {
		return otlp.ErrMalformed
	}
	return nil
}

// resourceLogs reads the resource, which may follow the records, and then the records in chunks of
// a few scopes.
func (t *translator) resourceLogs(message []byte) error {
	t.resource.reset()
	t.strict, t.group = true, nil
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case otlp.ResourceLogsResource:
			t.strict = t.strict && t.resource.text == nil
			t.resource.text = f.Text
		case otlp.ResourceLogsSchemaURL:
			t.resource.schemaURL = f.Text
		case otlp.ResourceLogsScopeLogs:
		default:
			t.strict = false
		}
	}
	if f.Malformed {
		return otlp.ErrMalformed
	}
	t.strict = t.strict && utf8.Valid(t.resource.schemaURL) && otlp.IsStrictObject(t.resource.text, otlp.ResourceAttributes, otlp.ResourceDropped)
	why := t.resource.encode()
	if why != nil && !isPermanent(why) {
		return why
	}
	bytes := 0
	f = protobuf.Fields{Rest: message}
	for f.Next() {
		if f.Tag != otlp.ResourceLogsScopeLogs {
			continue
		}
		if len(t.scopes) == maxScopes || bytes > maxScopesBytes {
			if err := t.chunk(); err != nil {
				return err
			}
			bytes = 0
		}
		size, err := t.scopeLogs(f.Text, why)
		if err != nil {
			return err
		}
		bytes += size
	}
	return t.chunk()
}

// isPermanent reports whether an error is an error of records, which are then rejected.
func isPermanent(err error) bool {
	return errors.Is(err, errHead) || errors.Is(err, otlp.ErrTooDeep) || errors.Is(err, record.ErrTooLarge)
}

// scopeLogs adds a scope to the chunk, and returns the number of bytes that it adds to packets.
func (t *translator) scopeLogs(message []byte, why error) (size int, err error) {
	if len(t.scopes) < cap(t.scopes) {
		t.scopes = t.scopes[:len(t.scopes)+1] // keeps its memory
	} else {
		t.scopes = append(t.scopes, scope{})
	}
	s := &t.scopes[len(t.scopes)-1]
	err = s.read(message, &t.resource)
	t.strict = t.strict && s.strict
	if err != nil && !isPermanent(err) {
		return 0, err
	}
	if why == nil {
		why = err
	}
	if why != nil {
		t.summary.reject(s.records, why)
		t.summary.records += s.records
	}
	if why != nil || s.records == 0 {
		t.scopes = t.scopes[:len(t.scopes)-1]
		return 0, nil
	}
	return len(s.head), nil
}

// chunk adds the records of the scopes.
func (t *translator) chunk() error {
	if len(t.scopes) == 0 {
		return nil
	}
	defer func() { t.scopes = t.scopes[:0] }()
	alone := len(t.scopes) == 1 && t.scopes[0].empty
	t.head = append(t.head[:0], t.resource.head...)
	if !alone {
		t.head = append(t.head, `"scopes":[`...)
		for i := range t.scopes {
			if i > 0 {
				t.head = append(t.head, ',')
			}
			t.head = append(t.head, t.scopes[i].head...)
		}
		t.head = append(t.head, "],"...)
	}
	emitter := t.resource.emitter
	if len(emitter) == 0 {
		emitter = t.sender
	}
	first := t.group == nil // of the resource
	t.group = t.into.GroupWith(string(emitter)+"\x00"+string(t.head), emitter, t.head)
	records, bytes, before := 0, 0, t.group.Bytes()
	for i := range t.scopes {
		records += t.scopes[i].records
		bytes += len(t.scopes[i].logs)
	}
	if t.into.Measures() && !(first && t.group.IsOnePacket(records, bytes)) {
		return errWhole
	}
	t.into.Expect(int(t.growth * (1 + growthMargin) * float64(bytes)))
	for i := range t.scopes {
		index := i
		if alone {
			index = -1
		}
		if err := t.records(&t.scopes[i], index); err != nil {
			return err
		}
	}
	t.adjustGrowth(float64(t.group.Bytes()-before) / float64(bytes))
	return nil
}

// adjustGrowth increases growth at once, and decreases it slowly: too little memory costs a copy.
func (t *translator) adjustGrowth(growth float64) {
	const part = 1.0 / 16
	t.growth = max(growth, t.growth-part*(t.growth-growth))
}

func (t *translator) records(s *scope, index int) error {
	f := protobuf.Fields{Rest: s.logs}
	for f.Next() {
		if f.Tag != otlp.ScopeLogsLogRecords {
			continue
		}
		t.summary.records++
		err := t.record(f.Text, s, index)
		if err == nil {
			err = t.group.Add(&t.message)
		}
		switch {
		case err != nil && !isPermanent(err):
			return err
		case t.into.Measures() && (err != nil || !t.strict || t.summary.untimed || t.group.IsCut()):
			return errWhole
		case err != nil:
			t.summary.reject(1, err)
		}
	}
	return nil
}

package elasticsearch

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

const (
	// maxItems bounds the documents of a request, since the response lists them.
	maxItems = 200_000
	// maxIndexBytes and maxIDBytes are Elasticsearch's own bounds.
	maxIndexBytes = 255
	maxIDBytes    = 512
)

// documentFields are the members of documents with a meaning of their own: first the names of the
// Elastic Common Schema, then names that pino, rsyslog and others use for times and hosts.
var documentFields = record.NewDocumentFields("@timestamp", "timestamp", "time", "timereported",
	"service.name", "host.name", "host", "agent.name", "HOST", "host.hostname", "hostname", "fromhost")

var (
	timeFields     = []int{0, 1, 2, 3}
	serviceFields  = []int{4}
	instanceFields = []int{5, 6, 7, 8, 9, 10, 11}
)

var (
	errNoObject = errors.New("a document must be a JSON object")
	errNoIndex  = errors.New("_index is missing, in the action and in the path")
	errName     = fmt.Errorf("_index must have at most %d bytes, and _id %d", maxIndexBytes, maxIDBytes)
)

// translator makes packets of documents. It is reused, and must not be used concurrently.
type translator struct {
	packets *record.Packets
	sender  netip.Addr
	arrival time.Time

	document record.Document
	message  record.Message
	emitter  []byte
	// own are the members that documents for ownIndex have.
	own, ownIndex []byte

	ids  hash.Hash // of all documents
	noID bool      // a document has none
	// content is a hash of all documents that does not depend on the order of their members; nil
	// unless the client changes that when it sends a request again.
	content hash.Hash
	members record.Identity
	text    []byte
	untimed bool // a record has no timestamp
}

func newTranslator() *translator { return &translator{ids: sha256.New()} }

func (t *translator) begin(packets *record.Packets, sender netip.Addr, arrival time.Time) {
	t.packets, t.sender, t.arrival = packets, sender, arrival
	t.noID, t.untimed, t.content = false, false, nil
	t.ids.Reset()
}

// keptText is the maximum buffer, in bytes, of noteContent that is kept for other requests.
const keptText = 64 << 10

// trim releases memory that a large request needed.
func (t *translator) trim() {
	t.packets = nil
	t.message.Trim()
	if cap(t.text) > keptText {
		t.text, t.members = nil, record.Identity{}
	}
}

// do executes an action; see add.
func (t *translator) do(one *action) error {
	if err := t.check(one); err != nil {
		return err
	}
	return t.add(one.index, one.id, one.source)
}

// check returns why an action is not possible, and shortens names that are too long.
func (*translator) check(one *action) error {
	switch {
	case len(one.index) > maxIndexBytes || len(one.id) > maxIDBytes:
		one.index, one.id = one.index[:min(len(one.index), maxIndexBytes)], one.id[:min(len(one.id), maxIDBytes)]
		return errName
	case one.operation == update || one.operation == remove:
		return errUnsupported
	case len(one.index) == 0:
		return errNoIndex
	default:
		return nil
	}
}

// add translates a document for an index. The error says why the document is invalid, or is a
// record.UnavailableError.
func (t *translator) add(index, id, source []byte) error {
	d, m := &t.document, &t.message
	switch isObject, err := d.Parse(source, documentFields); {
	case err != nil:
		return err
	case !isObject:
		return errNoObject
	}
	nano := t.beginMessage()
	t.setOwn(index)
	if len(id) > 0 {
		m.Set("es.id", id)
	}
	d.AddTo(m)
	if err := t.packets.Group(t.emitterOf(index)).Add(m); err != nil {
		return err
	}
	t.note(index, id)
	if t.content != nil {
		t.noteContent(nano)
	}
	return nil
}

// setOwn sets the metadata of this service for documents of the index.
func (t *translator) setOwn(index []byte) {
	if len(t.own) > 0 && bytes.Equal(index, t.ownIndex) {
		t.message.SetMembers(t.own)
		return
	}
	var valid bool
	t.ownIndex = append(t.ownIndex[:0], index...)
	t.own, valid = record.AppendText(append(t.own[:0], `,"input":"elasticsearch","es.index":"`...), index)
	t.own = append(t.own, '"')
	if t.message.SetMembers(t.own); !valid {
		t.message.SetInvalid()
		t.own = t.own[:0]
	}
}

// beginMessage starts the message of the document with the first time that it has, and returns the
// time in nanoseconds since 1970, or 0.
func (t *translator) beginMessage() (nano int64) {
	nano, from := t.document.Time(timeFields...)
	t.document.Use(from)
	t.untimed = t.untimed || record.IsUntimed(nano)
	t.packets.Begin(&t.message, nano, t.arrival)
	return nano
}

func (t *translator) emitterOf(index []byte) []byte {
	t.emitter = append(t.emitter[:0], t.document.Text(serviceFields...)...)
	if len(t.emitter) == 0 {
		t.emitter = append(t.emitter, index...)
	}
	t.emitter = record.AppendInstance(t.emitter, t.document.Text(instanceFields...), t.sender)
	return t.emitter
}

// note adds the id of a document to the identity of the request.
func (t *translator) note(index, id []byte) {
	t.noID = t.noID || len(id) == 0
	if t.noID {
		return
	}
	separator := [1]byte{}
	for _, part := range [...][]byte{index, id} {
		_, _ = t.ids.Write(part) // never fails
		_, _ = t.ids.Write(separator[:])
	}
}

// noteContent adds the message, with the time of its document or 0, to the content of the request.
func (t *translator) noteContent(nano int64) {
	t.text = binary.BigEndian.AppendUint64(t.text[:0], uint64(nano))
	t.text = t.members.Append(t.text, &t.message)
	_, _ = t.content.Write(binary.BigEndian.AppendUint64(t.text, uint64(len(t.text)))) // never fails
}

// identity returns a hash of the ids of all documents, or nil if a document has none.
func (t *translator) identity() []byte {
	if t.noID {
		return nil
	}
	return t.ids.Sum(nil)
}

// Package record reads packets as flat records, for backends without packets and resources: a
// message with all its fields, each name once.
package record

import (
	"bytes"
	"hash/maphash"
	"math/bits"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Names of metadata with a meaning for several backends.
const (
	timeUnixNano = "time_unix_nano"
	serviceName  = "service.name"
	hostName     = "host.name"
	scopePrefix  = "otel.scope."
)

var scopeName, scopeVersion = []byte("otel.scope.name"), []byte("otel.scope.version")

// Field is one field of a record.
type Field struct {
	// Name is decoded, valid UTF-8, and valid until the next Next.
	Name []byte
	packet.Pair
}

// Reader reads the records of packets. It does not allocate once its buffers have grown,
// and must not be used concurrently.
type Reader struct {
	packet.Reader
	// Fields are the metadata of the current message, then what its scope and resource add.
	// Of a name that occurs twice in the metadata the last value counts. An attribute of the
	// resource that the metadata have with another value becomes resource.<name>.
	Fields []Field
	// Nanoseconds is the time of the current message. Exact means that the sender gave it
	// in nanoseconds; then Fields do not contain it.
	Nanoseconds int64
	Exact       bool
	// Service and Host are service.name and host.name (or host), or else the parts of the
	// emitter_id before and after its first slash, decoded and valid until the next Next.
	// Host may be empty.
	Service, Host []byte

	reserved     func(name []byte) bool
	metadataOnly bool
	arena        []byte // decoded names
	// The Service and Host of records that do not say otherwise.
	emitter, service, host []byte
	seed                   maphash.Seed
	table                  []uint32 // indexes of Fields plus one, by hash
}

// NewReader returns a Reader. A name that is reserved for another field of the backend
// becomes attributes.<name>.
func NewReader(reserved func(name []byte) bool) *Reader {
	return &Reader{reserved: reserved, seed: maphash.MakeSeed()}
}

// NewMetadataReader returns a Reader whose Fields are the metadata alone.
func NewMetadataReader(reserved func(name []byte) bool) *Reader {
	r := NewReader(reserved)
	r.metadataOnly = true
	return r
}

// maxKeptEntries bounds the table, which is larger than the fields, and the bytes of names
// that a Reader keeps between packets.
const maxKeptEntries = 1 << 16

// Reset begins with another packet; see packet.Reader.
func (r *Reader) Reset(p *packet.Packet) {
	r.Reader.Reset(p)
	body := p.Body
	if cap(r.table) > maxKeptEntries || cap(r.arena) > maxKeptEntries {
		r.Fields, r.table, r.arena = nil, nil, nil
	}
	r.emitter = r.EmitterID.AppendDecoded(r.emitter[:0], body)
	r.service, r.host = r.emitter, nil
	if slash := bytes.IndexByte(r.emitter, '/'); slash > 0 {
		r.service, r.host = r.emitter[:slash], r.emitter[slash+1:]
	}
	if text, found := r.Find(r.Resource.Pairs, serviceName); found {
		r.service = text.Decoded(nil, body)
	}
	if text, found := r.Find(r.Resource.Pairs, hostName); found {
		r.host = text.Decoded(nil, body)
	}
}

// Next reads the next record and reports whether there is one.
func (r *Reader) Next() bool {
	if !r.Reader.Next() {
		return false
	}
	m := &r.Message
	var scope packet.Attributes
	if m.Scope >= 0 {
		scope = r.Scopes[m.Scope]
	}
	r.begin(len(m.Metadata) + len(scope.Pairs) + 2*len(r.Resource.Pairs) + 2)
	r.Nanoseconds, r.Exact = nanoseconds(m.Timestamp), false
	r.Service, r.Host = r.service, r.host
	for i := range m.Metadata {
		r.addMetadata(&m.Metadata[i])
	}
	if r.metadataOnly {
		return true
	}
	if !scope.Name.IsEmpty() {
		r.add(scopeName, packet.Pair{Value: scope.Name}, false)
	}
	if !scope.Version.IsEmpty() {
		r.add(scopeVersion, packet.Pair{Value: scope.Version}, false)
	}
	for i := range scope.Pairs {
		r.add(r.decode(scopePrefix, scope.Pairs[i].Name), scope.Pairs[i], false)
	}
	for i := range r.Resource.Pairs {
		if p := &r.Resource.Pairs[i]; !r.add(r.decode("", p.Name), *p, false) {
			r.add(r.decode("resource.", p.Name), *p, false)
		}
	}
	return true
}

// nanoseconds bounds a time in milliseconds to the range of int64 nanoseconds.
func nanoseconds(milliseconds int64) int64 {
	const latest = 9223372036854
	return min(milliseconds, latest) * 1e6
}

func (r *Reader) addMetadata(pair *packet.Pair) {
	name := r.decode("", pair.Name)
	if string(name) == timeUnixNano && r.parseTime(pair.Value) {
		return
	}
	if !pair.Value.IsEmpty() {
		switch string(name) {
		case serviceName:
			r.Service = pair.Value.Decoded(nil, r.Body)
		case hostName, "host":
			r.Host = pair.Value.Decoded(nil, r.Body)
		}
	}
	r.add(name, *pair, true)
}

// parseTime takes the exact time, unless the text is none.
func (r *Reader) parseTime(text packet.Text) bool {
	var number int64
	raw := text.Raw(r.Body)
	for _, c := range raw {
		if c < '0' || c > '9' || number > (1<<63-1-9)/10 {
			return false
		}
		number = 10*number + int64(c-'0')
	}
	if number == 0 {
		return false
	}
	r.Nanoseconds, r.Exact = number, true
	return true
}

// begin prepares for at most n fields. The table is at most half full.
func (r *Reader) begin(n int) {
	r.Fields, r.arena = r.Fields[:0], r.arena[:0]
	size := 1 << bits.Len(uint(2*n))
	if cap(r.table) < size {
		r.table = make([]uint32, size)
	}
	r.table = r.table[:size]
	clear(r.table)
}

// decode returns a name, with a prefix, in the arena unless it is a part of the body.
func (r *Reader) decode(prefix string, name packet.Text) []byte {
	if prefix == "" && name.Plain() {
		return name.Raw(r.Body)
	}
	start := len(r.arena)
	r.arena = append(r.arena, prefix...)
	r.arena = name.AppendDecoded(r.arena, r.Body)
	return r.arena[start:len(r.arena):len(r.arena)]
}

// add adds a field, or replaces the value of one with the same name. It reports false if
// there is one with another value that is not to be replaced.
func (r *Reader) add(name []byte, pair packet.Pair, replace bool) bool {
	if r.reserved(name) {
		start := len(r.arena)
		r.arena = append(append(r.arena, "attributes."...), name...)
		name = r.arena[start:len(r.arena):len(r.arena)]
	}
	mask := uint64(len(r.table) - 1)
	for at := maphash.Bytes(r.seed, name) & mask; ; at = (at + 1) & mask {
		known := r.table[at]
		if known == 0 {
			r.Fields = append(r.Fields, Field{name, pair})
			r.table[at] = uint32(len(r.Fields))
			return true
		}
		if field := &r.Fields[known-1]; bytes.Equal(field.Name, name) {
			if replace {
				field.Pair = pair
			}
			return bytes.Equal(field.Value.Raw(r.Body), pair.Value.Raw(r.Body))
		}
	}
}

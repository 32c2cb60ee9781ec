package jetstream

import (
	"bytes"
	"encoding/binary"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// envelopeOf returns an envelope of packets with the ids 0, 1, ….
func envelopeOf(t journaltest.T, id string, count int) []byte {
	var packets journaltest.Packets
	data := beginEnvelope(nil, id, count)
	for i := range count {
		p := packets.Make(t, "emitter-é", strconv.Itoa(i), 100+50*i)
		if i%2 == 0 {
			p.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		}
		data = appendRecord(data, p, uint64(i))
	}
	return data
}

func TestEnvelope(t *testing.T) {
	e, err := parseEnvelope(envelopeOf(t, "host-1-7", 20))
	if err != nil || e.id != "host-1-7" || len(e.records) != 20 {
		t.Fatalf("%q with %d records: %v", e.id, len(e.records), err)
	}
	var pool packet.Pool
	for i, r := range e.records {
		p := r.packetOf(&pool)
		if got := journaltest.ID(t, p); got != "emitter-é/"+strconv.Itoa(i) || r.damaged || r.token != uint64(i) {
			t.Errorf("record %d is %s with token %d, damaged: %v", i, got, r.token, r.damaged)
		}
		if info, err := packet.Check(p.Body, 10); err != nil || info != p.Info {
			t.Errorf("record %d has %+v, want %+v (%v)", i, p.Info, info, err)
		}
		if (p.Traceparent != "") != (i%2 == 0) || p.Accepted.IsZero() {
			t.Errorf("record %d: traceparent %q, accepted %v", i, p.Traceparent, p.Accepted)
		}
	}
}

// A traceparent that others have stored adds no lines to the headers of requests to analyzers.
func TestForgedTraceparent(t *testing.T) {
	var pool packet.Pool
	for _, text := range []string{"00-1\r\nHost: x", "00-1\x00", "00-é"} {
		r := record{traceparent: []byte(text)}
		if p := r.packetOf(&pool); p.Traceparent != "" {
			t.Errorf("%q", p.Traceparent)
		}
	}
}

// A flipped bit damages one record, or that record and those after it, and never yields wrong
// bytes.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	good := envelopeOf(t, "host-1-7", 3)
	whole, err := parseEnvelope(good)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		e, err := parseEnvelope(bad)
		if err != nil {
			continue
		}
		damaged := 0
		for i, r := range e.records {
			if r.damaged {
				damaged++
			} else if !bytes.Equal(r.raw, whole.records[i].raw) {
				t.Fatalf("bit %d: record %d has other bytes", bit, i)
			}
		}
		if damaged == 0 {
			t.Fatalf("bit %d in byte %d is not noticed", bit, bit/8)
		}
	}
}

func TestTornEnvelopes(t *testing.T) {
	good := envelopeOf(t, "host-1-7", 3)
	for length := range len(good) {
		e, err := parseEnvelope(good[:length])
		if err != nil {
			continue
		}
		if last := e.records[len(e.records)-1]; !last.damaged {
			t.Fatalf("%d of %d bytes: the last record is whole", length, len(good))
		}
	}
}

// sealed returns a message with the checksums of a valid one: whoever may write a stream can set them.
func sealed(message []byte) []byte {
	message = bytes.Clone(message)
	if len(message) < envelopeHeaderBytes {
		return message
	}
	copy(message, beginEnvelope(nil, "", 1)[:6])
	end := envelopeHeaderBytes + int(message[6])
	message[7] = 0
	if end > len(message) {
		return message
	}
	binary.LittleEndian.PutUint32(message[12:], headerChecksum(message[:end]))
	for rest := message[end:]; len(rest) >= recordHeaderBytes; {
		length := recordPrefixBytes + int64(binary.LittleEndian.Uint32(rest))
		if length < recordHeaderBytes || length > int64(len(rest)) {
			break
		}
		binary.LittleEndian.PutUint32(rest[4:], recordChecksum(rest[:length]))
		rest = rest[length:]
	}
	return message
}

// FuzzEnvelope reads messages of any content with valid checksums. What is read of a record can be used,
// and is written as it was.
func FuzzEnvelope(f *testing.F) {
	f.Add(envelopeOf(f, "host-1-7", 3))
	f.Add(beginEnvelope(nil, "", 1))
	const valid = `{"emitter_id":"\u0065\\","packet_id":"p","messages":[{"timestamp":1,"level":"l","message":"m"}]}`
	for body, ends := range map[string][]int{valid: {14, 18, 21, 22}, `{"emitter_id":"`: {14}, `x`: {0}} {
		for _, end := range ends { // of an id, within its escapes
			encoded := packet.AppendInfo(nil, packet.Info{Messages: 1, EmitterID: packet.NewText(min(15, end), end, true)})
			info, _ := packet.ParseInfo(encoded, []byte(body))
			var pool packet.Pool
			f.Add(appendRecord(beginEnvelope(nil, "a-1", 1), pool.New([]byte(body), info), 7))
		}
	}
	var reader packet.Reader
	j := &Journal{pool: new(packet.Pool)}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = sealed(data)
		e, err := parseEnvelope(data)
		if err != nil {
			return
		}
		packets, damaged := j.packetsOf(&e)
		again := beginEnvelope(nil, e.id, len(e.records))
		for i, p := range packets {
			if p == nil {
				continue
			}
			for reader.Reset(p); reader.Next(); { // as analyzers do
			}
			for _, id := range []packet.Text{p.EmitterID, p.PacketID} {
				if text := id.AppendDecoded(nil, p.Body); len(text) != id.DecodedLen(p.Body) {
					t.Errorf("%q is decoded as %q, of %d bytes", id.Raw(p.Body), text, id.DecodedLen(p.Body))
				}
			}
			r := &e.records[i]
			if p.Traceparent != string(r.traceparent) || r.raw[recordHeaderBytes-packet.StoredInfoBytes] > 7 {
				return // a trace that is not sent, or unknown flags
			}
			again = appendRecord(again, p, r.token)
		}
		if damaged > 0 {
			return
		}
		if !bytes.HasPrefix(data, again) {
			t.Errorf("%q is written as %q", data, again)
		}
	})
}

// Names of processes can be part of subjects, and are unique.
func TestProcessNames(t *testing.T) {
	a, b := processName(), processName()
	if a == b || !regexp.MustCompile(`^[A-Za-z0-9_-]+-[0-9a-f]{16}$`).MatchString(a) {
		t.Errorf("%q and %q", a, b)
	}
	if got := publisherOf(a + "-12"); got != a {
		t.Errorf("the publisher is %q, want %q", got, a)
	}
	derived := derivedID(a+"-12", []int{1, 5})
	if publisherOf(derived) != a || derived == derivedID(a+"-12", []int{1, 6}) || derived != derivedID(a+"-12", []int{1, 5}) || publisherOf(derivedID(derived, []int{0})) != a {
		t.Errorf("derived ids are wrong: %q", derived)
	}
}

// The document describes the version that is written.
func TestFormatIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/journal-format.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "envelope version " + strconv.Itoa(envelopeVersion); !strings.Contains(string(text), want) {
		t.Errorf("docs/journal-format.md lacks %q", want)
	}
}

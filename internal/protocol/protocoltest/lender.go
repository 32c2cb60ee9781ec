// Package protocoltest helps to test packages that translate protocols: it shows packets as
// text, and answers requests over HTTP without a network.
package protocoltest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// limits are those of packets.
var limits = record.Limits{Bytes: 10 << 20, Messages: 10_000}

// Lender lends memory to packets that are not sent anywhere.
type Lender struct {
	t testing.TB
	*intake.Intake
}

// NewLender returns a Lender of that many bytes, which must be given back when the test ends.
func NewLender(t testing.TB, memory int64) *Lender {
	in := intake.New(intake.Config{MemoryBytes: memory, Mode: intake.ModeOpen}, intake.Dependencies{
		Journal: new(Journal), Pool: new(packet.Pool), Accepting: func() bool { return true },
	})
	t.Cleanup(func() {
		if held := in.Memory().Held(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
	return &Lender{t, in}
}

// NewPackets returns an empty collection of packets.
func (l *Lender) NewPackets(ctx context.Context) *record.Packets {
	return record.NewPackets(ctx, l, limits)
}

// Text completes packets and returns their messages; see Text.
func (l *Lender) Text(packets *record.Packets) string {
	l.t.Helper()
	var lines []string
	for _, one := range packets.Seal("test-0123") {
		lines = append(lines, check(l.t, one)...)
		l.Memory().Drop(one)
	}
	return strings.Join(lines, "\n")
}

// check returns the messages of a packet as lines. The test fails unless the packet is valid
// and its Info is that of packet.Check.
func check(t testing.TB, p *packet.Packet) (lines []string) {
	t.Helper()
	info, err := packet.Check(p.Body, limits.Messages)
	if err != nil {
		t.Errorf("%v: %.300s", err, p.Body)
		return nil
	}
	if info != p.Info {
		t.Errorf("the packet has %+v, and Check says %+v: %.300s", p.Info, info, p.Body)
	}
	var decoded struct {
		EmitterID string    `json:"emitter_id"`
		Messages  []message `json:"messages"`
	}
	if err := json.Unmarshal(p.Body, &decoded); err != nil {
		t.Errorf("%v", err)
	}
	for _, m := range decoded.Messages {
		lines = append(lines, decoded.EmitterID+": "+m.String())
	}
	return lines
}

type message struct {
	Timestamp int64             `json:"timestamp"`
	Level     string            `json:"level"`
	Message   string            `json:"message"`
	Metadata  map[string]string `json:"metadata"`
	Types     map[string]string `json:"types"`
	BodyType  string            `json:"body_type"`
}

// String returns timestamp, level, text and its type, and the metadata, each with its type in
// parentheses.
func (m message) String() string {
	var b bytes.Buffer
	fmt.Fprint(&b, m.Timestamp, " ", m.Level, " ", m.Message)
	if m.BodyType != "" {
		b.WriteString(" " + m.BodyType)
	}
	b.WriteString(" {")
	for n, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		if n > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key + "=" + m.Metadata[key])
		if kind := m.Types[key]; kind != "" {
			b.WriteString("(" + kind + ")")
		}
	}
	b.WriteByte('}')
	return b.String()
}

// IsObject reports whether a text is a JSON object, as encoding/json reads it.
func IsObject(text []byte) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal(text, &object) == nil && object != nil
}

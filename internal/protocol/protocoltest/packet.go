package protocoltest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Packet is a packet as an analyzer reads it.
type Packet struct {
	EmitterID string    `json:"emitter_id"`
	PacketID  string    `json:"packet_id"`
	Messages  []Message `json:"messages"`
}

// Message is a message of a Packet.
type Message struct {
	Timestamp int64             `json:"timestamp"`
	Level     string            `json:"level"`
	Text      string            `json:"message"`
	Metadata  map[string]string `json:"metadata"`
	Types     map[string]string `json:"types"`
	BodyType  string            `json:"body_type"`
}

// decode returns a packet. The test fails unless it is valid and its Info is that of
// packet.Check.
func decode(t testing.TB, p *packet.Packet) (decoded Packet) {
	t.Helper()
	info, err := packet.Check(p.Body, limits.Messages)
	if err == nil {
		err = json.Unmarshal(p.Body, &decoded)
	}
	if err != nil {
		t.Errorf("%v: %.2000s", err, p.Body)
	} else if info != p.Info {
		t.Errorf("the packet has %+v, and Check says %+v: %.300s", p.Info, info, p.Body)
	}
	return decoded
}

// textOf returns the messages of packets as lines: emitter, timestamp, level, text and its type,
// and the metadata, each with its type in parentheses.
func textOf(packets []Packet) string {
	var lines []string
	for _, p := range packets {
		for _, m := range p.Messages {
			lines = append(lines, p.EmitterID+": "+m.line())
		}
	}
	return strings.Join(lines, "\n")
}

func (m *Message) line() string {
	text := m.Text
	if m.BodyType != "" {
		text += " " + m.BodyType
	}
	var metadata []string
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		value := m.Metadata[key]
		if kind := m.Types[key]; kind != "" {
			value += "(" + kind + ")"
		}
		metadata = append(metadata, key+"="+value)
	}
	return fmt.Sprintf("%d %s %s {%s}", m.Timestamp, m.Level, text, strings.Join(metadata, " "))
}

// IsObject reports whether a text is a JSON object, as encoding/json reads it.
func IsObject(text []byte) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal(text, &object) == nil && object != nil
}

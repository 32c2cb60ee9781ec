package packet

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawnPacket is a valid packet in a random encoding, with the expected Info.
type drawnPacket struct {
	body []byte
	want verdict
}

func drawPacket(t *rapid.T) drawnPacket {
	text := rapid.StringN(1, 40, 200)
	want := verdict{
		emitterID: strings.ToValidUTF8(text.Draw(t, "emitter id"), "?"),
		packetID:  strings.ToValidUTF8(text.Draw(t, "packet id"), "?"),
		messages:  rapid.IntRange(1, 8).Draw(t, "messages"),
	}
	var messages []string
	for range want.messages {
		level := rapid.SampledFrom([]string{"TRACE", "debug", "Info", "notice", "WARNING", "err", "Fatal", "other"}).Draw(t, "level")
		want.level = max(want.level, referenceLevel(level))
		messages = append(messages, drawMessage(t, level))
	}
	body := drawObject(t, map[string]string{
		"emitter_id": drawString(t, want.emitterID),
		"packet_id":  drawString(t, want.packetID),
		"messages":   "[" + strings.Join(messages, ","+drawSpace(t)) + drawSpace(t) + "]",
	}, true)
	return drawnPacket{body: []byte(drawSpace(t) + body + drawSpace(t)), want: want}
}

func drawMessage(t *rapid.T, level string) string {
	members := map[string]string{
		"timestamp": fmt.Sprint(rapid.Int64Min(1).Draw(t, "timestamp")),
		"level":     drawString(t, level),
		"message":   drawString(t, rapid.StringN(1, 60, -1).Draw(t, "message")),
	}
	if rapid.Bool().Draw(t, "has metadata") {
		metadata := map[string]string{}
		for name, value := range rapid.MapOfN(rapid.String(), rapid.String(), 0, 4).Draw(t, "metadata") {
			metadata[name] = drawString(t, value)
			if rapid.IntRange(0, 3).Draw(t, "null value") == 0 {
				metadata[name] = "null"
			}
		}
		members["metadata"] = drawObject(t, metadata, false)
		if rapid.IntRange(0, 5).Draw(t, "null metadata") == 0 {
			members["metadata"] = "null"
		}
	}
	return drawObject(t, members, true)
}

// drawObject writes an object with its members in a random order and optionally
// unknown members.
func drawObject(t *rapid.T, members map[string]string, extensible bool) string {
	var written []string
	for name, value := range members {
		written = append(written, drawString(t, name)+drawSpace(t)+":"+drawSpace(t)+value+drawSpace(t))
	}
	for extensible && rapid.IntRange(0, 3).Draw(t, "unknown member") == 0 {
		value, err := json.Marshal(rapid.SampledFrom([]any{
			nil, true, -1.5e-7, "text", []any{}, []any{1, "a", []any{nil}}, map[string]any{"timestamp": map[string]any{}, "a": false},
		}).Draw(t, "unknown value"))
		if err != nil {
			t.Fatal(err)
		}
		written = append(written, `"x`+rapid.StringMatching(`[a-z_]*`).Draw(t, "unknown name")+`":`+string(value))
	}
	written = rapid.Permutation(written).Draw(t, "order")
	return "{" + drawSpace(t) + strings.Join(written, ","+drawSpace(t)) + "}"
}

func drawSpace(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "", " ", "\n", "\t", "\r\n", "          "}).Draw(t, "space")
}

// drawString writes a JSON string as encoding/json does, or with all characters
// escaped.
func drawString(t *rapid.T, text string) string {
	if rapid.IntRange(0, 3).Draw(t, "escape all") > 0 {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(quoted)
	}
	return quoteEscaped(text)
}

func TestCheckAcceptsAllEncodings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawPacket(t)
		info, err := checkBoth(t, drawn.body, 8)
		if err != nil {
			t.Fatalf("%v\n%s", err, drawn.body)
		}
		compareWithReference(t, drawn.body, 8, info, err)
		if info.Messages != drawn.want.messages || info.Level != drawn.want.level {
			t.Fatalf("%d messages of %v, want %d of %v\n%s", info.Messages, info.Level, drawn.want.messages, drawn.want.level, drawn.body)
		}
		if got := string(info.PacketID.AppendDecoded(nil, drawn.body)); got != drawn.want.packetID {
			t.Fatalf("packet id %q, want %q", got, drawn.want.packetID)
		}
		if got := string(info.EmitterID.AppendDecoded(nil, drawn.body)); got != drawn.want.emitterID {
			t.Fatalf("emitter id %q, want %q", got, drawn.want.emitterID)
		}
	})
}

func TestCheckAgreesWithTheReferenceOnDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := drawPacket(t).body
		for range rapid.IntRange(1, 3).Draw(t, "damages") {
			body = damage(t, body)
		}
		info, err := checkBoth(t, body, 8)
		compareWithReference(t, body, 8, info, err)
	})
}

// damage changes, removes or inserts a byte, or repeats a part.
func damage(t *rapid.T, body []byte) []byte {
	if len(body) == 0 {
		return body
	}
	at := rapid.IntRange(0, len(body)-1).Draw(t, "place")
	before, after := string(body[:at]), string(body[at:])
	awkward := rapid.SampledFrom([]string{`"`, `\`, `,`, `:`, `{`, `}`, `[`, `]`, `0`, `-`, `.`, `e`, ` `, "\x00", "\n", "\x7f", "\x80", "\xff", `null`, `\u`, `""`, `\ud83d`, `\uDE00`, `\ufffd`}).Draw(t, "bytes")
	switch rapid.IntRange(0, 3).Draw(t, "damage") {
	case 0:
		return []byte(before + awkward + after[1:])
	case 1:
		return []byte(before + after[1:])
	case 2:
		return []byte(before + awkward + after)
	default:
		part := after[:rapid.IntRange(0, len(after)).Draw(t, "length")]
		return []byte(before + part + after)
	}
}

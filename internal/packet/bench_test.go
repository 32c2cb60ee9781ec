package packet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// samplePacket returns a packet as a usual emitter sends it, of about 150
// bytes a message.
func samplePacket(messages int) []byte {
	levels := []string{"INFO", "DEBUG", "WARN", "INFO", "ERROR"}
	var b strings.Builder
	b.WriteString(`{"emitter_id":"emitter-1","packet_id":"emitter-1-0000000000042","messages":[`)
	for i := range messages {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"timestamp":%d,"level":"%s","message":"request %d handled in 12 ms","metadata":{"service":"checkout","region":"eu-west-1"}}`,
			1640995200000+i, levels[i%len(levels)], i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkCheck(b *testing.B) {
	for _, messages := range []int{1, 5, 20, 100, 1000, 10000} {
		b.Run(strconv.Itoa(messages), func(b *testing.B) {
			body := samplePacket(messages)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Check(body, messages); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCheckAwkward shows that no input costs out of proportion: its
// ns/op must grow with the size alone, and its MB/s must not fall with it.
func BenchmarkCheckAwkward(b *testing.B) {
	inMessage := func(part string) func(int) string {
		return func(n int) string { return extendedMessage(`"x":"` + strings.Repeat(part, n) + `"`) }
	}
	shapes := map[string]func(n int) string{
		"indented": func(n int) string {
			return strings.Replace(plainPacket, ",", ","+strings.Repeat("\n        ", n), 1)
		},
		"spaced": func(n int) string {
			message := strings.NewReplacer(":", ": ", ",", ", ").Replace(plainMessage)
			return packetWith(message + strings.Repeat(", "+message, n/8))
		},
		"escapes":        inMessage(`\n\"\u00e9`),
		"cyrillic":       inMessage(`привет мир `),
		"mixed accents":  inMessage(`aéaé`),
		"nested":         func(n int) string { return extendedMessage(`"x":[0` + strings.Repeat(","+nested(20), n/4) + `]`) },
		"unknown names":  func(n int) string { return extendedMessage(`"x":0` + strings.Repeat(`,"name":0`, n)) },
		"escaped names":  func(n int) string { return extended(`"x":0` + strings.Repeat(`,"packet\u005fids":0`, n)) },
		"numbers":        func(n int) string { return extended(`"x":[0` + strings.Repeat(`,-1.5e+10`, n) + `]`) },
		"refused at end": func(n int) string { return extended(`"`+strings.Repeat("x", 8*n)+`":1`) + "x" },
	}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		for _, n := range []int{100, 10_000} {
			b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) {
				body := []byte(shapes[name](n))
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					_, _ = Check(body, n)
				}
			})
		}
	}
}

// BenchmarkEncodingJSON is what Check would cost with the standard library: to
// decode a packet of 5 messages into structs, without checking any rule.
func BenchmarkEncodingJSON(b *testing.B) {
	type message struct {
		Timestamp int64  `json:"timestamp"`
		Level     string `json:"level"`
		Message   string `json:"message"`
	}
	type packet struct {
		EmitterID string    `json:"emitter_id"`
		PacketID  string    `json:"packet_id"`
		Messages  []message `json:"messages"`
	}
	body := samplePacket(5)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var decoded packet
		if err := json.Unmarshal(body, &decoded); err != nil {
			b.Fatal(err)
		}
	}
}

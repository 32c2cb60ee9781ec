package packet

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// samplePacket returns a typical packet of about 150 bytes per message.
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

// BenchmarkCheck measures packets of increasing size: the cost per message must not
// grow.
func BenchmarkCheck(b *testing.B) {
	for _, messages := range []int{1, 5, 50, 500, 10_000} {
		b.Run(strconv.Itoa(messages), func(b *testing.B) {
			benchmarkCheck(b, [][]byte{samplePacket(messages)}, messages, hasVectors)
		})
	}
	b.Run("500 without vectors", func(b *testing.B) { benchmarkCheck(b, [][]byte{samplePacket(500)}, 500, false) })
	b.Run("5 without vectors", func(b *testing.B) { benchmarkCheck(b, [][]byte{samplePacket(5)}, 5, false) })
}

// BenchmarkCheckVaried measures different packets of 5 messages, which defeat branch
// prediction.
func BenchmarkCheckVaried(b *testing.B) {
	plain := strings.Fields("request handled in 12ms for tenant-42 timeout connection eu-west-1 10.1.2.3 status=200 a /api/v1/orders/18273")
	escaped := append(strings.Fields(`\"quoted\" C:\\path line\nbreak \u00e9`), plain...)
	foreign := strings.Fields("запрос обработан за 12мс клиент заказ ошибка соединения é 日本")
	for _, row := range []struct {
		name, space string
		words       []string
	}{{"plain", "", plain}, {"spaced", " ", plain}, {"escaped", "", escaped}, {"not ASCII", "", foreign}} {
		b.Run(row.name, func(b *testing.B) { benchmarkCheck(b, variedPackets(row.words, row.space), 5, hasVectors) })
	}
}

// BenchmarkCheckText measures packets of 500 messages with 200 bytes of text each.
func BenchmarkCheckText(b *testing.B) {
	for _, row := range []struct{ name, text string }{
		{"ASCII", "request handled in 12ms "}, {"Cyrillic", "запрос обработан за 12мс "}, {"Chinese", "请求处理完成"}, {"emoji", "🙂🚀🔥 ok "},
		{"a tenth escaped", `connectio\n lost here\"`}, {"a tenth escaped in hex", `caf\u00e9 is closed now caf\u00e9`},
	} {
		b.Run(row.name, func(b *testing.B) {
			message := strings.Repeat(row.text, 200/len(row.text))
			body := strings.ReplaceAll(string(samplePacket(500)), "handled in 12 ms", message)
			benchmarkCheck(b, [][]byte{[]byte(body)}, 500, hasVectors)
		})
	}
}

// variedPackets returns packets of 5 messages of words, with or without spaces after
// colons and commas.
func variedPackets(words []string, space string) [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	levels := []string{"INFO", "INFO", "INFO", "info", "DEBUG", "WARN", "warning", "ERROR"}
	text := func(maxWords int) string {
		var chosen []string
		for range 1 + random.IntN(maxWords) {
			chosen = append(chosen, words[random.IntN(len(words))])
		}
		return strings.Join(chosen, " ")
	}
	var packets [][]byte
	for range 1000 {
		var messages []string
		for i := range 5 {
			var metadata []string
			for range random.IntN(5) {
				metadata = append(metadata, fmt.Sprintf(`"%s":_"%s"`, text(1), text(3)))
			}
			messages = append(messages, fmt.Sprintf(`{"timestamp":_%d,_"level":_"%s",_"message":_"%s",_"metadata":_{%s}}`,
				1640995200000+i, levels[random.IntN(len(levels))], text(14), strings.Join(metadata, `,_`)))
		}
		packets = append(packets, []byte(packetWith(strings.ReplaceAll(strings.Join(messages, `,_`), `_`, space))))
	}
	return packets
}

// benchmarkCheck checks packets of the same number of messages in rotation.
func benchmarkCheck(b *testing.B, packets [][]byte, messages int, vectors bool) {
	size := 0
	for _, body := range packets {
		size += len(body)
	}
	b.SetBytes(int64(size / len(packets)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := check(packets[i], messages, false, vectors); err != nil {
			b.Fatal(err)
		}
		i = (i + 1) % len(packets)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(messages), "ns/message")
}

// BenchmarkCheckWorstCase measures unfavourable inputs: ns/op must be linear in the
// size.
func BenchmarkCheckWorstCase(b *testing.B) {
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

// BenchmarkEncodingJSON decodes a packet of 5 messages into structs with encoding/json,
// without validation, for comparison.
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

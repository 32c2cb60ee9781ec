package intake

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// BenchmarkDuplicateWindow measures the cost of the window for a new packet: the packet is looked
// up, reserved, and recorded.
func BenchmarkDuplicateWindow(b *testing.B) {
	for _, messages := range []int{5, 500} {
		b.Run(fmt.Sprintf("messages=%d", messages), func(b *testing.B) {
			in := newIntake(b, new(fakeJournal), func(_ *Config, d *Dependencies) { d.Duplicates = window(b) })
			p, digits := numbered(b, messages)
			b.ReportAllocs()
			for b.Loop() {
				count(digits)
				c := Candidate{Packet: p}
				result := in.Screen(&c)
				if result.Outcome != Undecided || c.reservation == nil {
					b.Fatal("a new packet is not taken for one")
				}
				c.accept()
			}
		})
	}
}

// numbered returns a packet and the digits of its id, in its body.
func numbered(b *testing.B, messages int) (p *packet.Packet, digits []byte) {
	const id = "000000000000"
	const message = `{"timestamp":1640995200000,"level":"INFO","message":"GET /cart/items 200 in 12 ms","metadata":{"service":"shop","host":"web-1","trace":"0af7651916cd43dd"}}`
	body := []byte(`{"emitter_id":"emitter-1","packet_id":"` + id + `","messages":[` + strings.Repeat(message+",", messages-1) + message + `]}`)
	info, err := packet.Check(body, messages)
	if err != nil {
		b.Fatal(err)
	}
	at := bytes.Index(body, []byte(id))
	return &packet.Packet{Body: body, Info: info, Accepted: time.Now()}, body[at : at+len(id)]
}

// count adds one to a decimal number.
func count(digits []byte) {
	for i := len(digits) - 1; i >= 0; i-- {
		if digits[i]++; digits[i] <= '9' {
			return
		}
		digits[i] = '0'
	}
}

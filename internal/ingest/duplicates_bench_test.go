package ingest

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// BenchmarkDuplicateWindow is what the window costs a packet that is new: it is
// looked for, stored by somebody else, and remembered.
func BenchmarkDuplicateWindow(b *testing.B) {
	for _, messages := range []int{5, 500} {
		b.Run(fmt.Sprintf("messages=%d", messages), func(b *testing.B) {
			window, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 500_000}, slog.New(slog.DiscardHandler), time.Now())
			if err != nil {
				b.Fatal(err)
			}
			o := standard()
			o.config.MaxPacketMessages = messages
			o.change = func(d *Dependencies) { d.Duplicates = window }
			h := newHandler(b, o, &greedyJournal{})
			p, digits := numbered(b, messages)
			b.ReportAllocs()
			for b.Loop() {
				count(digits)
				e := candidate{packet: p}
				if why := h.screen(&e); why != nil || e.reservation == nil {
					b.Fatal("a new packet is not taken for one")
				}
				e.accept()
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

package emitter

import (
	"context"
	"errors"
	"testing"
)

func newTestGenerator(t testing.TB, packetSize string) *generator {
	t.Helper()
	sizes, err := ParseSizes(packetSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	return newGenerator(newEnvelope("emitter \"1\" \u00e9\n", "run"), sizes, 1)
}

func TestGeneratedPackets(t *testing.T) {
	g := newTestGenerator(t, "1-100")
	ids, levels, services := map[string]bool{}, map[string]int{}, map[string]int{}
	for range 500 {
		var p outgoing
		if err := g.next(t.Context(), &p); err != nil {
			t.Fatal(err)
		}
		s := readBack(t, &p)
		if ids[s.PacketID] || s.EmitterID != "emitter \"1\" \u00e9\n" {
			t.Fatalf("packet %s of %s came twice or from elsewhere", s.PacketID, s.EmitterID)
		}
		ids[s.PacketID] = true
		for _, m := range s.Messages {
			levels[m.Level]++
			services[m.Metadata["service"]]++
		}
	}
	if levels["INFO"] < 5*levels["ERROR"] || levels["ERROR"] == 0 || levels["WARN"] == 0 || levels["DEBUG"] == 0 {
		t.Errorf("the levels are not spread as in real logs: %v", levels)
	}
	if len(services) < 5 || services[""] > 0 {
		t.Errorf("services: %v", services)
	}
}

func TestGeneratorStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newTestGenerator(t, "5").next(ctx, &outgoing{}); !errors.Is(err, context.Canceled) {
		t.Errorf("next after the end of ctx = %v", err)
	}
}

func BenchmarkGenerate(b *testing.B) {
	for _, size := range []string{"5", "100"} {
		b.Run(size, func(b *testing.B) {
			g := newTestGenerator(b, size)
			var p outgoing
			b.ReportAllocs()
			for b.Loop() {
				p.reset()
				if err := g.next(b.Context(), &p); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(p.body)))
		})
	}
}

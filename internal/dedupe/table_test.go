package dedupe

import (
	"maps"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// A table has the same content as a map, also if ids collide.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few slots have a search that begins there, at the start and at the end of a shard.
		ids := rapid.Custom(func(t *rapid.T) uint64 {
			return rapid.Uint64Range(0, 1).Draw(t, "shard")<<55 | rapid.Uint64Range(0, 7).Draw(t, "other")<<20 |
				rapid.SampledFrom([]uint64{0, 1, 2, 1<<20 - 2, 1<<20 - 1}).Draw(t, "start")
		})
		var got table
		want := make(map[uint64]uint64)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			id := ids.Draw(t, "ids")
			if rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
				got.remove(id)
				delete(want, id)
			} else {
				content := rapid.Uint64().Draw(t, "content")
				got.set(id, content)
				want[id] = content
			}
			if got.len != len(want) {
				t.Fatalf("there are %d ids, want %d", got.len, len(want))
			}
		}
		found := make(map[uint64]uint64)
		for shard := range uint64(2) {
			for other := range uint64(8) {
				for _, start := range []uint64{0, 1, 2, 3, 1<<20 - 2, 1<<20 - 1} {
					id := shard<<55 | other<<20 | start
					if content, ok := got.get(id); ok {
						found[id] = content
					}
				}
			}
		}
		if !maps.Equal(found, want) {
			t.Fatalf("got %v, want %v", found, want)
		}
	})
}

// BenchmarkTable is what a new packet costs: two lookups and an insertion among half a million.
func BenchmarkTable(b *testing.B) {
	const packets = 500_000
	random := rand.New(rand.NewPCG(1, 2))
	var current, previous table
	for range packets {
		previous.set(random.Uint64()&^tombstone, 1)
	}
	for b.Loop() {
		if current.len == packets {
			current = table{}
		}
		ids := random.Uint64() &^ tombstone
		_, known := current.get(ids)
		_, before := previous.get(ids)
		if known || before {
			b.Fatal("random ids are known")
		}
		current.set(ids, 1)
	}
}

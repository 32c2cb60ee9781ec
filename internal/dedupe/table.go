package dedupe

// table maps the ids of fingerprints to contents. A lookup reads one line of the processor's
// cache in most cases, where a map of the language reads several: with a large table this is
// most of what a packet costs.
//
// The ids are keyed hashes, of which the first bits select a shard and the last ones a slot,
// or the next free one after it. Shards keep the copying short when the table grows.
type table struct {
	shards [256]shard
	len    int
}

// shard has a power of two of slots, of which at least a quarter is free.
type shard struct {
	slots []slot
	used  int
}

// slot has the ids with the bit of tombstone, and is zero while it is free.
type slot struct{ ids, content uint64 }

const minSlots = 8

func (t *table) shard(ids uint64) *shard { return &t.shards[ids<<1>>56] }

// find returns the index of the slot of ids, or of the free slot for them.
func (s *shard) find(ids uint64) int {
	mask := uint64(len(s.slots) - 1)
	at := ids & mask
	for s.slots[at].ids != 0 && s.slots[at].ids != ids|tombstone {
		at = (at + 1) & mask
	}
	return int(at)
}

func (t *table) get(ids uint64) (content uint64, ok bool) {
	s := t.shard(ids)
	if len(s.slots) == 0 {
		return 0, false
	}
	found := s.slots[s.find(ids)]
	return found.content, found.ids != 0
}

func (t *table) set(ids, content uint64) {
	s := t.shard(ids)
	if s.used >= len(s.slots)/4*3 {
		s.grow()
	}
	found := &s.slots[s.find(ids)]
	if found.ids == 0 {
		s.used++
		t.len++
	}
	*found = slot{ids | tombstone, content}
}

func (s *shard) grow() {
	old := s.slots
	s.slots = make([]slot, max(minSlots, 2*len(old)))
	for _, moved := range old {
		if moved.ids != 0 {
			s.slots[s.find(moved.ids&^tombstone)] = moved
		}
	}
}

// remove moves slots after the removed one, so that none is behind a free slot before which
// a search for it begins.
func (t *table) remove(ids uint64) {
	s := t.shard(ids)
	if len(s.slots) == 0 {
		return
	}
	free := s.find(ids)
	if s.slots[free].ids == 0 {
		return
	}
	s.used--
	t.len--
	mask := len(s.slots) - 1
	for at := (free + 1) & mask; s.slots[at].ids != 0; at = (at + 1) & mask {
		start := int(s.slots[at].ids) & mask
		if (at-start)&mask >= (at-free)&mask {
			s.slots[free], free = s.slots[at], at
		}
	}
	s.slots[free] = slot{}
}

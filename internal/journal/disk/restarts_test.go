package disk

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
)

// A journal opens with a segment that is cut, torn or changed anywhere, has each packet once whose
// record is whole, and keeps over kills what is appended then.
func TestRestartsAfterDamage(t *testing.T) {
	log := smallLog(t)
	const step = 13 // to save time; with 1 it is each byte
	for path, content := range log {
		for at := 0; at < len(content); at += step {
			torn, changed := slices.Clone(content), slices.Clone(content)
			clear(torn[at:])
			changed[at] ^= 1 << (at % 8)
			end := extent{int64(at), math.MaxInt64}
			restartDamaged(t, fmt.Sprintf("%s is cut at %d", path, at), with(log, path, content[:at]), wholePackets(t, log, path, end))
			restartDamaged(t, fmt.Sprintf("%s is torn at %d", path, at), with(log, path, torn), wholePackets(t, log, path, end))
			restartDamaged(t, fmt.Sprintf("%s is changed at %d", path, at), with(log, path, changed), wholePackets(t, log, path, extent{int64(at), int64(at) + 1}))
		}
	}
}

// wholePackets returns the ids of the unacknowledged packets of a smallLog whose records are not in
// the damaged part of a segment.
func wholePackets(t *testing.T, log map[string][]byte, damaged string, part extent) (ids []int) {
	for path, content := range log {
		for sequence, end := range ends(t, content) {
			start := end - recordBytes(fixtureWith(nil).make(t, sequence-1)[0])
			if id := sequence - 1; id > 0 && (path != damaged || end <= part.from || start >= part.to) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func restartDamaged(t *testing.T, damage string, segments map[string][]byte, whole []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := fixtureWith(segments)
		for restart := range 3 {
			j := f.open(t)
			found := fetchAll(t, j)
			ids := idsOf(t, found)
			if len(slices.Compact(slices.Clone(ids))) < len(ids) {
				t.Errorf("%s: at start %d packets are there twice: %v", damage, restart, ids)
			}
			for _, id := range whole {
				if !slices.Contains(ids, id) {
					t.Errorf("%s: at start %d packet %d is lost", damage, restart, id)
				}
			}
			f.put(t, j, 100+restart)
			whole = append(whole, 100+restart)
			f.kill(j)
		}
		j := f.open(t)
		j.Ack(fetchAll(t, j))
		_ = j.Close()
		j = f.open(t)
		if left := fetchAll(t, j); len(left) > 0 {
			t.Errorf("%s: %d packets are there after their acknowledgement", damage, len(left))
		}
		_ = j.Close()
	})
}

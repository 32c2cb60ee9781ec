package disk

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
)

// Acknowledgements before a clean stop survive a crash of the machine after it.
func TestStopSyncsAcknowledgements(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			j := f.open(t)
			f.put(t, j, 0, 1)
			j.Ack(journaltest.Fetch(j, nil, 1))
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			f.disk.crash(rand.New(rand.NewPCG(seed, 0)))
			j = f.open(t)
			same(t, "after the crash", idsOf(t, fetchAll(t, j)), []int{1})
			j.Close()
		})
	}
}

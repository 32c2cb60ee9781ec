package journaltest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// await waits for Ready and fails the test after a minute.
func await(t *testing.T, j journal.Journal) {
	t.Helper()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	select {
	case <-j.Ready():
	case <-timeout.C:
		t.Fatalf("Ready reports nothing, stats %+v", j.Stats())
	}
}

// testWakeUps fetches only after Ready reports packets, while they are appended one by
// one.
func testWakeUps(t *testing.T, j journal.Journal) {
	var packets Packets
	const count = 500
	Fetch(j, nil, 3)
	var producing sync.WaitGroup
	producing.Go(func() {
		for i := range count {
			if n, err := j.Append([]*packet.Packet{packets.Make(t, "emitter", fmt.Sprint(i), 300)}); n != 1 || err != nil {
				t.Errorf("Append %d: %d, %v", i, n, err)
			}
		}
	})
	for found := 0; found < count; {
		await(t, j)
		for {
			fetched := Fetch(j, nil, 3)
			if len(fetched) == 0 {
				break
			}
			found += len(fetched)
			j.Ack(fetched)
		}
	}
	producing.Wait()
	checkStats(t, j, 0, 0, count)
}

const (
	producers          = 8
	batchesPerProducer = 100
	ackers             = 3
)

// testConcurrentUse appends, fetches, acknowledges and reads the statistics
// concurrently. Each packet must be fetched once, those of one emitter in order, and the
// statistics must always be consistent.
func testConcurrentUse(t *testing.T, j journal.Journal) {
	var packets Packets
	var producing, acking, watching sync.WaitGroup
	total := 0
	for producer := range producers {
		random := rand.New(rand.NewPCG(uint64(producer), 1))
		sizes := make([]int, batchesPerProducer)
		for i := range sizes {
			sizes[i] = 1 + random.IntN(5)
			total += sizes[i]
		}
		producing.Go(func() { appendBatches(t, j, &packets, strconv.Itoa(producer), sizes) })
	}
	stop := make(chan struct{})
	watching.Go(func() { watchStats(t, j, stop) })
	toAck := make(chan []*packet.Packet, 16)
	for acker := range ackers {
		acking.Go(func() { ackShuffled(j, toAck, uint64(acker)) })
	}
	fetchAll(t, j, total, toAck)
	producing.Wait()
	close(toAck)
	acking.Wait()
	close(stop)
	watching.Wait()
	checkStats(t, j, 0, 0, total)
}

func appendBatches(t *testing.T, j journal.Journal, packets *Packets, emitter string, sizes []int) {
	id := 0
	for _, size := range sizes {
		batch := make([]*packet.Packet, size)
		for i := range batch {
			batch[i] = packets.Make(t, emitter, strconv.Itoa(id), 200+37*id%900)
			id++
		}
		if n, err := j.Append(batch); n != size || err != nil {
			t.Errorf("Append of emitter %s: %d of %d, %v", emitter, n, size, err)
			return
		}
	}
}

func fetchAll(t *testing.T, j journal.Journal, total int, toAck chan<- []*packet.Packet) {
	next := make(map[string]int)
	for found := 0; found < total; {
		fetched := Fetch(j, nil, 16)
		if len(fetched) == 0 {
			await(t, j)
			continue
		}
		for _, p := range fetched {
			emitter, id, _ := strings.Cut(ID(t, p), "/")
			if id != strconv.Itoa(next[emitter]) {
				t.Errorf("emitter %s: got packet %s, want %d", emitter, id, next[emitter])
			}
			next[emitter]++
		}
		found += len(fetched)
		toAck <- fetched
	}
}

// ackShuffled acknowledges packets in random order.
func ackShuffled(j journal.Journal, toAck <-chan []*packet.Packet, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	var held []*packet.Packet
	for fetched := range toAck {
		held = append(held, fetched...)
		random.Shuffle(len(held), func(a, b int) { held[a], held[b] = held[b], held[a] })
		half := len(held) / 2
		j.Ack(held[:half])
		held = append([]*packet.Packet(nil), held[half:]...)
	}
	j.Ack(held)
}

func watchStats(t *testing.T, j journal.Journal, stop <-chan struct{}) {
	ticks := time.NewTicker(100 * time.Microsecond)
	defer ticks.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticks.C:
		}
		stats := j.Stats()
		if checkSum(t, stats); t.Failed() {
			return
		}
		_ = j.CheckCapacity(100)
	}
}

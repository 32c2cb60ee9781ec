package jetstream

import (
	"strconv"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// committed counts the packets of one AppendAsync.
type committed struct {
	packets int
	done    chan int
}

func (c *committed) OnCommit(err error) {
	if err != nil {
		panic(err)
	}
	c.done <- c.packets
}

// BenchmarkAppendToAck measures packets of 1 KB from Append to Ack, with the given number of packets in
// flight.
func BenchmarkAppendToAck(b *testing.B) {
	server := natstest.Start(b, natstest.Options{})
	for _, waiting := range []int{1, 64, 1024} {
		for _, partitions := range []int{1, 3} {
			b.Run("waiting="+strconv.Itoa(waiting)+"/partitions="+strconv.Itoa(partitions), func(b *testing.B) {
				benchmarkWay(b, server, waiting, partitions)
			})
		}
	}
}

func benchmarkWay(b *testing.B, server *natstest.Server, waiting, partitions int) {
	c := testConfig(server.URL(), server.Monitor())
	c.Partitions = partitions
	j := open(b, c)
	var packets journaltest.Packets
	done := make(chan int, waiting)
	free, delivered := waiting, 0
	ready := time.NewTimer(0)
	defer ready.Stop()
	b.ResetTimer()
	for sent := 0; delivered < b.N; {
		for free > 0 && sent < b.N {
			free--
			sent++
			p := packets.Make(b, "emitter", strconv.Itoa(sent), 1000)
			if _, _, err := j.AppendAsync([]*packet.Packet{p}, &committed{1, done}); err != nil {
				b.Fatal(err)
			}
		}
		select {
		case n := <-done:
			free += n
		case <-j.Ready():
		case <-ready.C:
			ready.Reset(time.Millisecond)
		}
		fetched := journaltest.Fetch(j, nil, 256)
		delivered += len(fetched)
		j.Ack(fetched)
	}
}

package disk

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

const producers = 64

// BenchmarkCommitter measures the rate of 64 producers of packets of 1 KB, interleaved
// with plain appends and fdatasync of equal batches on the same file system. "ratio" is
// the first rate divided by the second.
func BenchmarkCommitter(b *testing.B) {
	for _, batch := range []int{1, 8} {
		b.Run(fmt.Sprintf("packets=%d", batch), func(b *testing.B) { benchCommitter(b, batch) })
	}
}

func benchCommitter(b *testing.B, batchSize int) {
	dir := b.TempDir()
	var pool packet.Pool
	j := openForBench(b, dir, &pool, 1<<30)
	defer j.Close()
	body, info := benchBody(b)
	stop := make(chan struct{})
	var consuming sync.WaitGroup
	consuming.Go(func() { consume(j, stop) })
	var ours, raw time.Duration
	var packets, commits int64
	for b.Loop() {
		before := commitsOf(j)
		started := time.Now()
		count := appendConcurrently(b, j, &pool, body, info, batchSize)
		ours += time.Since(started)
		batch := count / max(1, commitsOf(j)-before)
		raw += appendAll(b, filepath.Join(dir, "raw"), body, count, batch)
		packets += count
		commits += commitsOf(j) - before
	}
	close(stop)
	consuming.Wait()
	b.ReportMetric(float64(packets)/ours.Seconds(), "packets/s")
	b.ReportMetric(float64(packets)/raw.Seconds(), "raw-packets/s")
	b.ReportMetric(raw.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(float64(packets)/float64(commits), "packets/commit")
}

// openForBench opens a journal with a memory limit.
func openForBench(b *testing.B, dir string, pool *packet.Pool, memoryBytes int64) *Journal {
	b.Helper()
	j, err := Open(
		Config{Dir: dir, MaxBytes: 8 << 30, MemoryLimitBytes: memoryBytes},
		Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: pool},
	)
	if err != nil {
		b.Fatal(err)
	}
	return j
}

// benchBody returns a packet of 1 KB.
func benchBody(b *testing.B) ([]byte, packet.Info) {
	b.Helper()
	body := journaltest.Body("emitter-1", "packet-1", 1, 1024)
	info, err := packet.Check(body, 1)
	if err != nil {
		b.Fatal(err)
	}
	return body, info
}

// appendConcurrently appends packets from 64 goroutines and returns their number.
func appendConcurrently(b *testing.B, j *Journal, pool *packet.Pool, body []byte, info packet.Info, batch int) int64 {
	const appendsEach = 200
	var producing sync.WaitGroup
	var failed atomic.Bool
	for range producers {
		producing.Go(func() {
			batch := make([]*packet.Packet, batch)
			for range appendsEach {
				for i := range batch {
					batch[i] = pool.New(body, info)
				}
				if _, err := j.Append(batch); err != nil {
					failed.Store(true)
					return
				}
			}
		})
	}
	producing.Wait()
	if failed.Load() {
		b.Fatal("an Append failed")
	}
	return int64(producers * appendsEach * batch)
}

func consume(j *Journal, stop <-chan struct{}) {
	var fetched []*packet.Packet
	for {
		if fetched = journaltest.Fetch(j, fetched[:0], 1000); len(fetched) > 0 {
			j.Ack(fetched)
			continue
		}
		select {
		case <-j.Ready():
		case <-stop:
			return
		}
	}
}

func commitsOf(j *Journal) int64 {
	return int64(testutil.ToFloat64(j.metrics.commits))
}

// appendAll appends count bodies to a file, with a sync after each batch.
func appendAll(b *testing.B, path string, body []byte, count, batch int64) time.Duration {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buffer := make([]byte, 0, batch*int64(len(body)))
	started := time.Now()
	for left := count; left > 0; left -= batch {
		buffer = buffer[:0]
		for range min(batch, left) {
			buffer = append(buffer, body...)
		}
		if _, err := f.Write(buffer); err != nil {
			b.Fatal(err)
		}
		if err := syncData(f); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(started)
}

// BenchmarkAppend measures sequential Appends of several batch sizes, without group commit.
func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprintf("packets=%d", batch), func(b *testing.B) { benchAppend(b, batch) })
	}
}

func benchAppend(b *testing.B, batch int) {
	var pool packet.Pool
	j := openForBench(b, b.TempDir(), &pool, 1<<30)
	defer j.Close()
	stop := make(chan struct{})
	var consuming sync.WaitGroup
	consuming.Go(func() { consume(j, stop) })
	body, info := benchBody(b)
	packets := make([]*packet.Packet, batch)
	b.SetBytes(int64(batch * len(body)))
	b.ReportAllocs()
	for b.Loop() {
		for i := range packets {
			packets[i] = pool.New(body, info)
		}
		if _, err := j.Append(packets); err != nil {
			b.Fatal(err)
		}
	}
	close(stop)
	consuming.Wait()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/packet")
}

// BenchmarkRecovery measures how long Open takes with a backlog of 512 MB, with the footers
// of its segments and without.
func BenchmarkRecovery(b *testing.B) {
	dir := b.TempDir()
	fillForBench(b, dir, 512)
	b.Run("footers", func(b *testing.B) { benchOpen(b, dir) })
	segments, err := filepath.Glob(filepath.Join(dir, segmentsDir, "*"+segmentSuffix))
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range segments {
		content, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		if len(content) == segmentHeaderBytes {
			continue // of a start without packets
		}
		if err := os.Truncate(path, int64(footerAt(b, content))); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("records", func(b *testing.B) { benchOpen(b, dir) })
}

// fillForBench makes a backlog of that many megabytes.
func fillForBench(b *testing.B, dir string, megabytes int) {
	b.Helper()
	var pool packet.Pool
	body, info := benchBody(b)
	j := openForBench(b, dir, &pool, 1<<20)
	for range megabytes {
		batch := make([]*packet.Packet, 1024)
		for i := range batch {
			batch[i] = pool.New(body, info)
		}
		if _, err := j.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}

func benchOpen(b *testing.B, dir string) {
	var pool packet.Pool
	var opening time.Duration
	for b.Loop() {
		started := time.Now()
		j := openForBench(b, dir, &pool, 1<<20)
		opening += time.Since(started)
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(opening.Seconds()/float64(b.N), "s/open")
}

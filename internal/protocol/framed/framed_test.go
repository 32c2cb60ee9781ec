package framed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// lines is a consumer of lines.
type lines struct {
	mu       sync.Mutex // guards batches and maxBytes
	batches  [][]string
	maxBytes int // data, in bytes
	fail     error
	block    chan struct{} // if it is not nil, Consume waits until it is closed
}

func (l *lines) Consume(_ context.Context, data []byte, ended bool) (used int, err error) {
	var batch []string
	for {
		n := bytes.IndexByte(data[used:], '\n')
		if n < 0 {
			break
		}
		batch = append(batch, string(data[used:used+n]))
		used += n + 1
	}
	if ended && used < len(data) && data[len(data)-1] == '!' {
		batch = append(batch, string(data[used:]))
		used = len(data)
	}
	l.note(len(data), batch)
	if l.block != nil {
		<-l.block
	}
	return used, l.fail
}

func (l *lines) note(bytes int, batch []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.maxBytes = max(l.maxBytes, bytes)
	if len(batch) > 0 {
		l.batches = append(l.batches, batch)
	}
}

func (l *lines) got() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.batches)
}

func (l *lines) maxConsumed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.maxBytes
}

// pool lends memory unless closed is set.
type pool struct {
	packet.Pool
	held   atomic.Int64
	closed atomic.Bool
	limit  int64 // of bytes at once; 0 is none
}

func (p *pool) Lend(ctx context.Context, size int) *packet.Packet {
	for p.closed.Load() {
		if !worker.Sleep(ctx, time.Millisecond) {
			return nil
		}
	}
	lent := p.Get(size)
	p.held.Add(lent.Footprint())
	return lent
}

func (p *pool) Fits(bytes int64) bool { return p.limit == 0 || bytes <= p.limit }

func (p *pool) Release(lent *packet.Packet) {
	p.held.Add(-lent.Footprint())
	lent.Release()
}

type testbed struct {
	lines
	pool
	client net.Conn
	cancel context.CancelFunc
	server net.Conn
	result chan error
}

// start reads a connection in the bubble of a test.
func start(t *testing.T, config Config) *testbed {
	b := &testbed{result: make(chan error, 1)}
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(t.Context())
	b.client, b.server = net.Pipe()
	go func() { b.result <- Read(ctx, b.server, config, &b.pool, &b.lines) }()
	return b
}

func (b *testbed) end(t *testing.T, want error) {
	t.Helper()
	_ = b.client.Close()
	if err := <-b.result; !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	if b.held.Load() != 0 {
		t.Errorf("%d bytes are held", b.held.Load())
	}
	_ = b.server.Close()
}

func (b *testbed) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(b.client, text); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

var usual = Config{MaxFrame: 100_000, Timeout: 10 * time.Second, Delay: 50 * time.Millisecond}

// Lines that arrive within the delay are one batch.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, usual)
		b.send(t, "a\nb")
		b.send(t, "c\n")
		if len(b.got()) != 0 {
			t.Errorf("%q before the delay", b.got())
		}
		time.Sleep(60 * time.Millisecond)
		b.send(t, "d\n")
		time.Sleep(time.Hour) // between frames nothing ends a connection
		b.send(t, "e!")
		b.end(t, nil)
		if len(b.got()) != 3 || strings.Join(b.got()[0], ",") != "a,bc" || b.got()[1][0] != "d" || b.got()[2][0] != "e!" {
			t.Errorf("%q", b.got())
		}
	})
}

// A full buffer does not wait, and without a delay no buffer does. The size of the buffer follows
// the batches.
func TestBufferSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, usual)
		text := strings.Repeat("0123456\n", 1000)
		for range 100 {
			b.send(t, text)
		}
		if b.maxConsumed() < maxBatch || b.maxConsumed() > 2*maxBatch {
			t.Errorf("the maximum batch has %d bytes", b.maxConsumed())
		}
		for range 20 {
			time.Sleep(time.Second)
			b.send(t, "x\n")
		}
		time.Sleep(time.Second)
		if b.held.Load() > 2*minBuffer {
			t.Errorf("an idle connection holds %d bytes", b.held.Load())
		}
		b.send(t, strings.Repeat("x", 90_000)+"\n")
		b.end(t, nil)

		b = start(t, Config{MaxFrame: 100})
		b.send(t, "a\n")
		if len(b.got()) != 1 {
			t.Errorf("%q without a delay", b.got())
		}
		b.end(t, nil)
	})
}

func TestReadErrors(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(*testing.T, *testbed)
		want error
	}{
		"slow": {func(t *testing.T, b *testbed) {
			for range 9 {
				b.send(t, "x")
				time.Sleep(1100 * time.Millisecond)
			}
		}, ErrSlow},
		"too large": {func(_ *testing.T, b *testbed) { _, _ = io.WriteString(b.client, strings.Repeat("x", 300_000)) }, ErrTooLarge},
		"larger than the memory": {func(t *testing.T, b *testbed) {
			b.send(t, "x")
			b.limit = 10_000
			_, _ = io.WriteString(b.client, strings.Repeat("x", 20_000))
		}, ErrTooLarge},
		"cut":          {func(t *testing.T, b *testbed) { b.send(t, "a\nb"); _ = b.client.Close() }, ErrCut},
		"the consumer": {func(t *testing.T, b *testbed) { b.fail = io.ErrNoProgress; b.send(t, "a\n") }, io.ErrNoProgress},
		"no memory": {func(t *testing.T, b *testbed) {
			b.send(t, "x")
			b.closed.Store(true)
			_, _ = io.WriteString(b.client, strings.Repeat("x", 2*minBuffer))
		}, ErrNoMemory},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(t, usual)
				done := make(chan struct{})
				go func() {
					defer close(done)
					c.act(t, b)
				}()
				time.Sleep(15 * time.Second)
				b.end(t, c.want)
				<-done
			})
		})
	}
}

// When the context ends, data that was read is consumed; half a frame counts as cut off.
func TestStop(t *testing.T) {
	for rest, want := range map[string]error{"": nil, "b!": ErrCut} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, usual)
			b.send(t, "a\n"+rest)
			b.cancel()
			_ = b.server.SetReadDeadline(time.Unix(1, 0))
			b.end(t, want)
			if len(b.got()) != 1 || len(b.got()[0]) != 1 {
				t.Errorf("%q", b.got())
			}
		})
	}
}

// While the consumer waits no data is read.
func TestWaitingConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{MaxFrame: 100})
		b.block = make(chan struct{})
		b.send(t, "a\n")
		_ = b.client.SetWriteDeadline(time.Now().Add(time.Hour))
		if _, err := io.WriteString(b.client, "b\n"); err == nil {
			t.Error("the connection was read")
		}
		close(b.block)
		b.end(t, nil)
	})
}

// Without memory a connection waits for it as long as nothing arrives, and for Config.Hold from the
// first byte of a frame on.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := Config{MaxFrame: 100, Timeout: 10 * time.Second, Hold: 30 * time.Second}
		open := func() *testbed {
			b := start(t, config)
			b.send(t, "a\n")
			b.closed.Store(true)
			b.send(t, "b\n") // with the buffer that it has
			time.Sleep(time.Hour)
			return b
		}
		b := open()
		go func() { _, _ = io.WriteString(b.client, "\n") }() // one byte is a frame
		time.Sleep(config.Hold - time.Second)
		b.closed.Store(false)
		b.send(t, "c\n")
		if got := b.got(); len(got) != 4 || got[2][0] != "" || got[3][0] != "c" {
			t.Errorf("%q", got)
		}
		b.end(t, nil)

		b = open()
		begun := time.Now()
		go func() { _, _ = io.WriteString(b.client, "c\n") }()
		if err := <-b.result; !errors.Is(err, ErrNoMemory) || time.Since(begun) != config.Hold {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		b.result <- nil
		b.end(t, nil)

		b = open()
		b.end(t, nil) // while nothing arrives
		b = open()
		b.cancel()
		_ = b.server.SetReadDeadline(time.Unix(1, 0))
		b.end(t, nil)
	})
}

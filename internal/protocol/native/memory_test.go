package native

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Many clients send large bodies at once: together they never hold more than the capacity of the
// journal, and each gets a definite response.
func TestConcurrentLargeBodiesStayWithinCapacity(t *testing.T) {
	const clients, size, limit = 40, 4 << 20, 16 << 20
	o := standard()
	o.native.MaxBodyBytes = size
	f := serve(t, o)
	f.journal.limitBytes = limit
	body := aPacket("p", size)
	packed := compress(t, "gzip", body)
	blank := strings.Repeat(" ", size)
	requests := []string{
		post(body), chunked(body, 60_000), post(packed, "Content-Encoding: gzip"),
		post(compress(t, "zstd", blank), "Content-Encoding: zstd"), post(blank, linesType),
	}
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			c := f.dial()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = fmt.Fprint(c.conn, requests[i%len(requests)])
			}()
			if a := c.readResponse(); a.StatusCode != 202 && a.StatusCode != 503 && a.StatusCode != 400 {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
			<-sent
		})
	}
	all.Wait()
	if f.journal.needed > limit {
		t.Errorf("%d bytes were held, with capacity for %d", f.journal.needed, limit)
	}
	// A single request has capacity for the largest body.
	for _, request := range requests[:3] {
		f.exchange(request).wantAccepted(t, "p")
	}
}

// Bodies that are announced and not sent take no capacity from other requests.
func TestAnnouncedBodiesHoldLittle(t *testing.T) {
	o := standard()
	f := serve(t, o)
	f.journal.limitBytes = 4 << 20
	const clients = 30 // each announces 30 MB
	for range clients {
		c := f.dial()
		c.send(post(aPacket("p", 1<<20))[:1000])
	}
	f.exchange(post(aPacket("p", 1<<20))).wantAccepted(t, "p")
	if held, limit := f.handler.memory.Held(), clients*packet.FootprintOf(uploadFactor*1000); held > limit {
		t.Errorf("%d bytes are held, at most %d should be", held, limit)
	}
}

//go:build linux

package operate

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// texts are the messages that an analyzer received.
type texts struct {
	mu  sync.Mutex // guards got
	got map[string]bool
}

var text = regexp.MustCompile(`"message":"([^"]+)"`)

// newTexts starts an analyzer and returns its URL.
func newTexts(t *testing.T) (*texts, string) {
	got := &texts{got: make(map[string]bool)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got.mu.Lock()
		defer got.mu.Unlock()
		for _, match := range text.FindAllSubmatch(body, -1) {
			got.got[string(match[1])] = true
		}
	}))
	t.Cleanup(server.Close)
	return got, server.URL
}

func (t *texts) missing(want []string) (missing []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range want {
		if !t.got[one] {
			missing = append(missing, one)
		}
	}
	return missing
}

// startInputLoad sends a datagram to udp and opens a connection to tcp every 2 ms until stop is
// called, which returns the messages of the datagrams. A failure is an error of the test.
func startInputLoad(t *testing.T, udp, tcp string) (stop func() []string) {
	t.Helper()
	datagrams, err := net.Dial("udp", udp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = datagrams.Close() })
	var sent []string
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for n := 0; ; n++ {
			select {
			case <-stopping:
				return
			case <-pace.C:
			}
			one := fmt.Sprint("udp-", n)
			if _, err := fmt.Fprintf(datagrams, "<11>1 - h a - - - %s", one); err != nil {
				t.Errorf("%s: %v", one, err)
				return
			}
			sent = append(sent, one)
			conn, err := net.Dial("tcp", tcp)
			if err != nil {
				t.Errorf("a connection: %v", err)
				return
			}
			_ = conn.Close()
		}
	}()
	return func() []string {
		close(stopping)
		<-stopped
		return sent
	}
}

// An upgrade keeps the sockets of the inputs: no connection is refused, and the kernel keeps the
// datagrams that arrive meanwhile.
func TestUpgradeKeepsInputs(t *testing.T) {
	free, err := ports.Free(2)
	if err != nil {
		t.Fatal(err)
	}
	udp, tcp := fmt.Sprintf("127.0.0.1:%d", free[0]), fmt.Sprintf("127.0.0.1:%d", free[1])
	got, analyzer := newTexts(t)
	d := start(t, analyzer+"=1", "-journal", "disk", "-inputs", "syslog-udp="+udp+",gelf-tcp="+tcp)
	stop := startInputLoad(t, udp, tcp)
	d.replaceBinary("")
	for range 3 {
		d.upgrade(complete)
	}
	sent := stop()
	var missing []string
	await(t, "the datagrams arrive", func() bool {
		missing = got.missing(sent)
		return len(missing) == 0 || t.Failed()
	})
	if len(sent) < 10 || len(missing) > 0 {
		t.Errorf("%d were sent, %d are missing", len(sent), len(missing))
	}
	d.stop()
}

package integrity

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// A message has a token between two marks, which occur only there: the name of its source, the
// number of the source, its own number, any letters, and a checksum.
const beginMark, endMark = "~(begin:", ":end)~"

// ledger has the accepted and the delivered messages. It may be used concurrently.
type ledger struct {
	t        *testing.T
	operated bool // the distributor may be down
	arrivals atomic.Int64

	mu      sync.Mutex // guards all below
	sources []*source
	pending map[[2]int]bool // true: accepted, and not delivered; false: delivered, and not known to be accepted
}

func newLedger(t *testing.T) *ledger { return &ledger{t: t, pending: make(map[[2]int]bool)} }

// source sends messages. One goroutine uses it.
type source struct {
	*harness.Distributor
	ledger *ledger
	name   string // the emitter_id contains it
	number int
	sent   int
	client client
}

func (l *ledger) newSource(d *harness.Distributor, name string) *source {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &source{Distributor: d, ledger: l, name: name, number: len(l.sources)}
	l.sources = append(l.sources, s)
	return s
}

// message is a message of a source.
type message struct {
	number int
	text   string
}

// messages returns at most limit new messages, of at most size bytes each.
func (s *source) messages(limit, size int) []message {
	all := make([]message, 1+rand.IntN(limit))
	for n := range all {
		s.sent++
		length := rand.IntN(size)
		if rand.IntN(4) > 0 {
			length = rand.IntN(min(size, 100))
		}
		content := fmt.Sprintf("%s.%d.%d.%s", s.name, s.number, s.sent, strings.Repeat(string(rune('a'+rand.IntN(26))), length))
		text := fmt.Sprintf("%s%s.%08x%s", beginMark, content, crc32.ChecksumIEEE([]byte(content)), endMark)
		if rand.IntN(3) == 0 {
			text = "\"\t\\é\u2028 " + text + " \U0001F600\""
		}
		all[n] = message{s.sent, text}
	}
	return all
}

// accepted notes that messages were accepted.
func (s *source) accepted(messages ...message) {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range messages {
		id := [2]int{s.number, m.number}
		if _, arrived := l.pending[id]; arrived {
			delete(l.pending, id)
		} else {
			l.pending[id] = true
		}
	}
}

// arrived notes that an analyzer accepted a message.
func (l *ledger) arrived(id [2]int) {
	l.arrivals.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[id] {
		delete(l.pending, id)
	} else {
		l.pending[id] = false
	}
}

// describe returns the number of accepted messages that are not delivered, by source.
func (l *ledger) describe() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := make(map[string][]int)
	for id, accepted := range l.pending {
		if name := l.sources[id[0]].name; accepted && len(missing[name]) < 10 {
			missing[name] = append(missing[name], id[1])
		}
	}
	return fmt.Sprint(missing)
}

// missing returns the number of accepted messages that are not delivered.
func (l *ledger) missing() (missing int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, accepted := range l.pending {
		if accepted {
			missing++
		}
	}
	return missing
}

// report logs the number of messages.
func (l *ledger) report() {
	l.t.Logf("%d messages arrived", l.arrivals.Load())
}

// tokens returns the ids of the messages in a text that an analyzer received, and checks them. A
// truncated text may end with a part of a token.
func (l *ledger) tokens(text []byte, cut bool, emitter string) (ids [][2]int) {
	parts := bytes.Split(text, []byte(beginMark))
	for n, part := range parts[1:] {
		token, _, ended := bytes.Cut(part, []byte(endMark))
		if !ended && cut && n == len(parts)-2 {
			break
		}
		if id, name, ok := parse(string(token)); !ended || !ok {
			l.t.Errorf("a message is not as it was sent: %.300q", part)
		} else if ids = append(ids, id); !strings.Contains(emitter, name) && emitter != "" {
			l.t.Errorf("a message of %s is in a packet of %s", name, emitter)
		}
	}
	if ends := bytes.Count(text, []byte(endMark)); ends != len(ids) {
		l.t.Errorf("%d messages have %d ends: %.300q", len(ids), ends, text)
	}
	return ids
}

func parse(token string) (id [2]int, name string, ok bool) {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 || fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(token[:dot]))) != token[dot+1:] {
		return id, "", false
	}
	fields := strings.Split(token, ".")
	id[0], _ = strconv.Atoi(fields[1]) // the checksum is right
	id[1], _ = strconv.Atoi(fields[2])
	return id, fields[0], true
}

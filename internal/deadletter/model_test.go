package deadletter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// modelLetter is what the model knows of a dead letter.
type modelLetter struct {
	id, packetID, emitter, analyzer, reason string
	state                                   State
}

// harness is a store on a directory with a model of what is in it.
type harness struct {
	*rapid.T
	test    *testing.T
	config  Config
	store   *Store
	letters []modelLetter // in order, without the deleted ones
	added   int
	sent    map[string]int // deliveries by packet id
}

// recordingJournal takes packets while it has capacity, and then answers an error.
type recordingJournal struct {
	capacity int
	err      error
	taken    func(*packet.Packet)
}

func (j *recordingJournal) Append(packets []*packet.Packet) (int, error) {
	n := min(j.capacity, len(packets))
	for _, p := range packets[:n] {
		j.taken(p)
		p.Release()
	}
	j.capacity -= n
	if n < len(packets) {
		return n, j.err
	}
	return n, nil
}

func newHarness(test *testing.T, t *rapid.T) *harness {
	dir, err := os.MkdirTemp(test.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{T: t, test: test, sent: make(map[string]int)}
	h.config = Config{Dir: dir, FileBytes: 1000, Files: 1000, LineBytes: 1 << 20, Durable: rapid.Bool().Draw(t, "durable")}
	h.reopen()
	return h
}

// reopen is a crash and a start: all memory is lost.
func (h *harness) reopen() {
	metrics, err := NewMetrics(prometheus.NewRegistry(), []string{"malformed", "other"})
	if err != nil {
		h.Fatal(err)
	}
	h.store = New(h.config, slog.New(slog.DiscardHandler), metrics)
	h.store.fsync = func(*os.File) error { return nil }
}

func (h *harness) add() {
	h.added++
	e := modelLetter{
		packetID: fmt.Sprint(h.added), state: Stored,
		emitter:  rapid.SampledFrom([]string{"e", "f"}).Draw(h.T, "emitter"),
		analyzer: rapid.SampledFrom([]string{"a", "b"}).Draw(h.T, "analyzer"),
		reason:   rapid.SampledFrom([]string{"malformed", "other"}).Draw(h.T, "reason"),
	}
	body := strings.Replace(bodyOf(e.packetID), `"emitter_id":"e"`, `"emitter_id":"`+e.emitter+`"`, 1)
	if stored := h.store.Add([]Entry{{aPacket(h.test, body), e.analyzer, e.reason, `","packet":{}`}}); !stored[0] {
		h.Fatal("not stored")
	}
	last := h.list(Filter{})
	e.id = last[len(last)-1].ID
	h.letters = append(h.letters, e)
}

// list returns all records that match, page by page.
func (h *harness) list(f Filter) []Record {
	var all []Record
	for after := ""; ; {
		page, err := h.store.List(h.test.Context(), f, after, rapid.IntRange(1, 5).Draw(h.T, "page"))
		if err != nil || page.Unreadable != 0 {
			h.Fatalf("list: %v, %d unreadable", err, page.Unreadable)
		}
		all = append(all, page.Records...)
		if !page.More {
			return all
		}
		after = page.Records[len(page.Records)-1].ID
	}
}

func (h *harness) filter() Filter {
	return Filter{
		Reason:   rapid.SampledFrom([]string{"", "", "malformed"}).Draw(h.T, "reason"),
		Analyzer: rapid.SampledFrom([]string{"", "", "a"}).Draw(h.T, "analyzer"),
		Emitter:  rapid.SampledFrom([]string{"", "", "f"}).Draw(h.T, "emitter"),
		State:    rapid.SampledFrom([]State{"", "", Stored, Replayed}).Draw(h.T, "state"),
	}
}

func (f Filter) selects(l modelLetter) bool {
	return (f.Reason == "" || f.Reason == l.reason) && (f.Analyzer == "" || f.Analyzer == l.analyzer) &&
		(f.Emitter == "" || f.Emitter == l.emitter) && (f.State == "" || f.State == l.state)
}

func (h *harness) indices(f Filter) []int {
	var matching []int
	for i, l := range h.letters {
		if f.selects(l) {
			matching = append(matching, i)
		}
	}
	return matching
}

// selection draws ids or a filter, and returns the letters of the model that it selects.
func (h *harness) selection(state State) (Selection, []int) {
	if len(h.letters) > 0 && rapid.Bool().Draw(h.T, "by id") {
		chosen := rapid.SliceOfN(rapid.IntRange(0, len(h.letters)-1), 1, 5).Draw(h.T, "letters")
		var s Selection
		for _, i := range chosen {
			s.IDs = append(s.IDs, h.letters[i].id)
		}
		slices.Sort(chosen)
		return s, slices.Compact(chosen)
	}
	f := h.filter()
	if state != "" {
		f.State = state
	}
	matching := h.indices(f)
	if rapid.IntRange(0, 9).Draw(h.T, "wrong") == 0 {
		var mismatch *CountError
		wrong := Selection{Filter: &f, ExpectCount: int64(len(matching)) + 1}
		if _, err := h.store.Delete(h.test.Context(), wrong); !errors.As(err, &mismatch) || mismatch.Actual != int64(len(matching)) {
			h.Fatalf("a wrong count: %v", err)
		}
	}
	return Selection{Filter: &f, ExpectCount: int64(len(matching))}, matching
}

func (h *harness) delete() {
	s, chosen := h.selection("")
	deleted, err := h.store.Delete(h.test.Context(), s)
	if err != nil || deleted != int64(len(chosen)) {
		h.Fatalf("deleted %d of %d: %v", deleted, len(chosen), err)
	}
	for _, i := range slices.Backward(chosen) {
		h.letters = slices.Delete(h.letters, i, i+1)
	}
}

var errCrash = errors.New("crash")

// replay replays a selection. Half of the time the process crashes at some point: after
// some packets were taken, and before or after some marks were written.
func (h *harness) replay() {
	s, chosen := h.selection(Stored)
	index := make(map[string]int)
	for _, i := range chosen {
		if h.letters[i].state == Stored {
			index[h.letters[i].packetID] = i
		}
	}
	j := &recordingJournal{capacity: 1 << 20, taken: func(p *packet.Packet) {
		id := string(p.PacketID.AppendDecoded(nil, p.Body))
		if _, selected := index[id]; !selected {
			h.Errorf("packet %s is replayed", id)
		}
		h.sent[id]++
	}}
	crashes := rapid.Bool().Draw(h.T, "crashes")
	if crashes && rapid.Bool().Draw(h.T, "in the journal") {
		j.capacity, j.err = rapid.IntRange(0, 3).Draw(h.T, "capacity"), journal.ErrClosed
	}
	writes := rapid.IntRange(0, 3).Draw(h.T, "writes until the crash")
	if crashes {
		h.store.marks.sync = func(*os.File) error { // after a write of marks
			if writes--; writes < 0 {
				return errCrash
			}
			return nil
		}
	}
	r := NewReplayer(h.store, j, &pool, slog.New(slog.DiscardHandler))
	started, err := r.Start(h.test.Context(), s, MaxReplayRate)
	if err != nil || started.Total != int64(len(chosen)) {
		h.Fatalf("a replay of %d: %+v, %v", len(chosen), started, err)
	}
	r.running.Wait()
	switch p := r.Replays()[0]; {
	case p.State == ReplayDone:
		if p.Done != int64(len(index)) || p.Failed != int64(len(chosen)-len(index)) {
			h.Fatalf("%d selected, %d of them stored: %+v", len(chosen), len(index), p)
		}
	case p.State != ReplayFailed || p.Reason != journal.ErrClosed.Error() && !strings.Contains(p.Reason, errCrash.Error()):
		h.Fatalf("%+v", p)
	}
	if crashes {
		h.tear()
		h.reopen()
	}
	h.learn(index)
}

// tear cuts some bytes off a file of marks, as a crash may.
func (h *harness) tear() {
	found, _ := filepath.Glob(h.config.Dir + "/*" + marksSuffix)
	if len(found) == 0 || !rapid.Bool().Draw(h.T, "torn") || h.config.Durable {
		return
	}
	path := found[len(found)-1]
	text, err := os.ReadFile(path)
	if err != nil {
		h.Fatal(err)
	}
	lastLine := bytes.LastIndexByte(bytes.TrimSuffix(text, []byte{'\n'}), '\n') + 1
	cut := rapid.IntRange(lastLine, len(text)).Draw(h.T, "size")
	if !bytes.Contains(text[lastLine:], []byte("replayed")) {
		return // a deletion that was reported is not undone in this model
	}
	if err := os.Truncate(path, int64(cut)); err != nil {
		h.Fatal(err)
	}
}

// learn takes over which letters are marked as replayed: after a crash, marks may be
// missing, but each letter that is marked was delivered.
func (h *harness) learn(replayed map[string]int) {
	for _, r := range h.list(Filter{}) {
		if i := slices.IndexFunc(h.letters, func(l modelLetter) bool { return l.id == r.ID }); i >= 0 {
			h.letters[i].state = r.State
		}
	}
	for id, i := range replayed {
		if h.letters[i].state == Replayed && h.sent[id] == 0 {
			h.Fatalf("packet %s is marked as replayed and was not", id)
		}
	}
}

func (h *harness) check() {
	f := h.filter()
	matching := h.indices(f)
	listed := h.list(f)
	if len(listed) != len(matching) {
		h.Fatalf("%d listed, want %d", len(listed), len(matching))
	}
	for i, at := range matching {
		want, got := h.letters[at], listed[i]
		if got.ID != want.id || got.PacketID != want.packetID || got.EmitterID != want.emitter || got.Analyzer != want.analyzer ||
			got.Reason != want.reason || got.State != want.state || got.Messages != 1 {
			h.Fatalf("listed %+v, want %+v", got, want)
		}
		one, body, err := h.store.Get(h.test.Context(), got.ID)
		if err != nil || one != got || !strings.Contains(string(body), `"packet_id":"`+want.packetID+`"`) || len(body) != got.Bytes {
			h.Fatalf("got %+v %s: %v", one, body, err)
		}
	}
	count, err := h.store.Count(h.test.Context(), f)
	if err != nil || count.Records != int64(len(matching)) || count.Messages != count.Records || count.Unreadable != 0 {
		h.Fatalf("counted %+v, want %d: %v", count, len(matching), err)
	}
	for _, l := range h.letters {
		if l.state == Replayed && h.sent[l.packetID] == 0 {
			h.Fatalf("packet %s was not replayed", l.packetID)
		}
	}
}

// Whatever is added, replayed and deleted, and wherever the process crashes: the store
// lists what the model has, and what is marked as replayed was delivered.
func TestStoreAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHarness(t, rt)
		defer func() { h.store.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"add":    func(*rapid.T) { h.add() },
			"delete": func(*rapid.T) { h.delete() },
			"replay": func(*rapid.T) { h.replay() },
			"crash":  func(*rapid.T) { h.reopen() },
			"":       func(*rapid.T) { h.check() },
		})
	})
}

var epoch = time.Unix(1_700_000_000, 0)

func aPacketF(f *testing.F, body string) *packet.Packet {
	info, err := packet.Check([]byte(body), 100)
	if err != nil {
		f.Fatal(err)
	}
	return pool.New([]byte(body), info)
}

// Content of any kind is read without a panic, and what is read as a dead letter is one.
func FuzzScan(f *testing.F) {
	good := string(appendLine(nil, Entry{aPacketF(f, bodyOf("1")), "a", "malformed", "d"}, epoch))
	f.Add([]byte(good+good), []byte(fmt.Sprintf("0 deleted %08x\n", sumOf([]byte(good[:len(good)-1])))), uint32(0))
	f.Add([]byte(good[:20]+"\n"+good+good[:30]), []byte("4294967295 replayed 00000000\n1 \n"), uint32(3))
	f.Add([]byte("\n\n{}\n,\"packet\":}\n{,\"packet\":{}}\n"), []byte("x"), uint32(1))
	f.Fuzz(func(t *testing.T, content, marked []byte, from uint32) {
		marks, err := readMarks(bytes.NewReader(marked), 10)
		if err != nil || len(marks) > 10 {
			t.Fatalf("%d marks, %v", len(marks), err)
		}
		start, err := lineStart(bytes.NewReader(content), int64(from))
		if err != nil {
			t.Fatal(err)
		}
		if start > int64(len(content)) {
			start = int64(len(content))
		}
		_, _, err = scanLines(t.Context(), bytes.NewReader(content[start:]), position{"f", start}, marks, 1000, func(l *line) (bool, error) {
			if end := l.offset + int64(len(l.text)); string(content[l.offset:end]) != string(l.text) || content[end] != '\n' {
				t.Fatalf("line %q at %d", l.text, l.offset)
			}
			record, one, err := l.parse()
			if err == nil {
				if _, err := packet.Recheck(one.body, record.Messages); err != nil || record.EmitterID == "" {
					t.Fatalf("%+v: %v", record, err)
				}
			}
			return true, nil
		})
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}

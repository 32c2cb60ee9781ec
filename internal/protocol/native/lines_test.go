package native

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

func TestLinesAccepted(t *testing.T) {
	f := serve(t, standard())
	body := aPacket("1", 0) + "\n\n" + aPacket("2", 900) + "\r\n  \t\n" + aPacket("3", 100_000)
	for name, request := range map[string]string{
		"plain":   post(body, linesType),
		"end":     post(body+"\n", linesType+"; charset=UTF-8"),
		"chunked": chunked(body, 1000, linesType),
		"gzip":    post(compress(t, "gzip", body), linesType, "Content-Encoding: gzip"),
		"zstd":    post(compress(t, "zstd", body), linesType, "Content-Encoding: zstd"),
	} {
		a := f.exchange(request)
		if a.StatusCode != 202 || a.text != `{"status":"accepted","accepted":3}` || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.text)
		}
		records := f.journal.records()
		for i, r := range records[len(records)-3:] {
			if want := []string{aPacket("1", 0), aPacket("2", 900), aPacket("3", 100_000)}[i]; r.body != want {
				t.Errorf("%s: packet %s has %d bytes, want %d", name, r.packetID, len(r.body), len(want))
			}
		}
	}
	f.wantCounted(nil)
}

func TestLinesAreIndependent(t *testing.T) {
	f := serve(t, standard())
	a := f.exchange(post(strings.Join([]string{
		aPacket("1", 0),
		"rubbish",
		strings.Replace(aPacket("2", 0), "INFO", "", 1),
		"",
		manyMessages(101),
		aPacket("3", 0),
	}, "\n"), linesType))
	var got struct {
		Status   string
		Accepted int
		Refused  []refusedLine
	}
	if err := json.Unmarshal([]byte(a.text), &got); err != nil || a.StatusCode != 207 {
		t.Fatalf("%d %s: %v", a.StatusCode, a.text, err)
	}
	if got.Status != "partial" || got.Accepted != 2 || a.Header.Get("Retry-After") != "" {
		t.Errorf("response %s", a.text)
	}
	for i := range got.Refused {
		if got.Refused[i].Detail == "" {
			t.Errorf("%+v has no detail", got.Refused[i])
		}
		got.Refused[i].Detail = ""
	}
	want := []refusedLine{
		{Line: 2, Code: "malformed"}, {Line: 3, PacketID: "2", Code: "invalid_packet"}, {Line: 5, PacketID: "many", Code: "too_large"},
	}
	if !reflect.DeepEqual(got.Refused, want) {
		t.Errorf("refused %+v, want %+v", got.Refused, want)
	}
	if ids := f.ids(); !reflect.DeepEqual(ids, []string{"1", "3"}) {
		t.Errorf("taken %v", ids)
	}
	f.wantCounted(map[problem.Code]int{problem.Malformed: 1, problem.InvalidPacket: 1, problem.TooLarge: 1})
}

// An id with half of a surrogate pair is refused alone, with any of the codings.
func TestLoneSurrogatesInIDs(t *testing.T) {
	f := serve(t, standard())
	bad := []string{by(`\ud800`, aPacket("1", 0)), named(`\udbff`, aPacket("p", 0)), named(`2\udc00`, aPacket("p", 0)), by(`\ude00\ud83d`, aPacket("3", 0))}
	for _, body := range bad {
		a := f.exchange(post(body))
		a.wantRefusal(t, 400, problem.InvalidPacket)
		if !strings.Contains(a.text, "_id must not have a surrogate without the other half of its pair (byte ") {
			t.Errorf("the refusal is %s", a.text)
		}
	}
	a := f.exchange(post(strings.Join(append(bad, named(`\ud83d\ude00`, aPacket("p", 0)), strings.Replace(aPacket("4", 0), "INFO", `\ud800`, 1)), "\n"), linesType))
	if a.StatusCode != 207 || !strings.Contains(a.text, `"accepted":2,`) || strings.Count(a.text, `"code":"invalid_packet"`) != len(bad) {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if ids := f.ids(); !reflect.DeepEqual(ids, []string{"\U0001f600", "4"}) {
		t.Errorf("taken %q", ids)
	}
	f.wantCounted(map[problem.Code]int{problem.InvalidPacket: 2 * len(bad)})
}

func (f *fixture) ids() []string {
	var ids []string
	for _, r := range f.journal.records() {
		ids = append(ids, r.packetID)
	}
	return ids
}

func TestLinesAllRefused(t *testing.T) {
	for _, c := range []struct {
		name, body string
		code       problem.Code
		refused    int
		counted    map[problem.Code]int
	}{
		{"malformed", "a\nb", problem.Malformed, 2, map[problem.Code]int{problem.Malformed: 2}},
		{"invalid", "{}\n[]", problem.InvalidPacket, 2, map[problem.Code]int{problem.InvalidPacket: 2}},
		{"both", "{}\nx", problem.Malformed, 2, map[problem.Code]int{problem.InvalidPacket: 1, problem.Malformed: 1}},
		{"empty", "", problem.Malformed, 0, map[problem.Code]int{problem.Malformed: 1}},
		{"blank", "\n\r\n \n", problem.Malformed, 0, map[problem.Code]int{problem.Malformed: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serve(t, standard())
			r := f.exchange(post(c.body, linesType)).wantRefusal(t, 400, c.code)
			if len(r.Refused) != c.refused {
				t.Errorf("listed %+v", r.Refused)
			}
			f.wantCounted(c.counted)
		})
	}
}

// The journal takes some packets; the response lists exactly the others.
func TestLinesWithPartialCapacity(t *testing.T) {
	f := serve(t, standard())
	f.journal.limitPackets = 2
	a := f.exchange(post(strings.Join([]string{aPacket("1", 0), "x", aPacket("2", 0), aPacket("3", 0), aPacket("4", 0)}, "\n"), linesType))
	var got struct {
		Accepted int
		Refused  []refusedLine
	}
	if err := json.Unmarshal([]byte(a.text), &got); err != nil || a.StatusCode != 207 {
		t.Fatalf("%d %s: %v", a.StatusCode, a.text, err)
	}
	var lines []string
	for _, r := range got.Refused {
		lines = append(lines, fmt.Sprint(r.Line, r.PacketID, r.Code))
	}
	if want := []string{"2malformed", "43overloaded", "54overloaded"}; got.Accepted != 2 || !reflect.DeepEqual(lines, want) {
		t.Errorf("accepted %d, refused %v, want %v", got.Accepted, lines, want)
	}
	a.wantRetryAfter(t, 2)
	f.wantCounted(map[problem.Code]int{problem.Malformed: 1, problem.Overloaded: 2})
}

func TestLinesNoneAccepted(t *testing.T) {
	f := serve(t, standard())
	f.journal.putErr = journal.ErrUnwritable
	r := f.exchange(post(aPacket("1", 0)+"\nx\n"+aPacket("2", 0), linesType)).wantRefusal(t, 503, problem.JournalUnwritable)
	if len(r.Refused) != 3 {
		t.Errorf("listed %+v", r.Refused)
	}
	f.wantCounted(map[problem.Code]int{problem.JournalUnwritable: 2, problem.Malformed: 1})
}

// Whatever the result of a request with many lines, a line that the response does not list was
// taken.
func TestEveryRefusedLineIsListed(t *testing.T) {
	const lines = 5000
	for name, c := range map[string]struct {
		good, limit int // every good-th line is a packet; the journal takes limit packets
		status      int
	}{
		"malformed":   {lines + 1, 0, 400},
		"some":        {3, 0, 207},
		"no capacity": {1, 100, 207},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, standard())
			f.journal.limitPackets = c.limit
			var body strings.Builder
			for number := 1; number <= lines; number++ {
				if number%c.good == 0 {
					body.WriteString(aPacket(fmt.Sprint(number), 0))
				} else {
					body.WriteString("x")
				}
				body.WriteString("\n")
			}
			a := f.exchange(post(body.String(), linesType))
			var got struct {
				Accepted int
				Refused  []refusedLine
			}
			if err := json.Unmarshal([]byte(a.text), &got); err != nil || a.StatusCode != c.status {
				t.Fatalf("%d %.200s: %v", a.StatusCode, a.text, err)
			}
			refused := make(map[string]bool)
			for i, r := range got.Refused {
				refused[fmt.Sprint(r.Line)] = true
				if r.Code == "" || (r.Detail != "") != (i < maxDetailedLines) || i >= maxDetailedLines && r.PacketID != "" {
					t.Fatalf("entry %d is %+v", i, r)
				}
			}
			if len(refused) != len(got.Refused) || len(refused)+got.Accepted != lines || strings.Contains(a.text, "refused_total") {
				t.Errorf("%d lines: %d accepted, %d listed, as %d", lines, got.Accepted, len(refused), len(got.Refused))
			}
			if taken := f.ids(); len(taken) != got.Accepted || slices.ContainsFunc(taken, func(id string) bool { return refused[id] }) {
				t.Errorf("%d accepted, %d taken, or one of those is listed", got.Accepted, len(taken))
			}
		})
	}
}

// So that the list is bounded, a request with too many lines is refused as a whole.
func TestTooManyLines(t *testing.T) {
	f := serve(t, standard())
	body := aPacket("1", 0) + strings.Repeat("\n", maxLines-1)
	if a := f.exchange(post(body+" ", linesType)); a.StatusCode != 202 {
		t.Errorf("with the maximum number of lines: %d %s", a.StatusCode, a.text)
	}
	r := f.exchange(post(body+"\n"+aPacket("2", 0), linesType)).wantRefusal(t, 413, problem.TooLarge)
	if !strings.Contains(r.Detail, "100000") || len(r.Refused) > 0 {
		t.Errorf("%+v", r)
	}
	if ids := f.ids(); !reflect.DeepEqual(ids, []string{"1"}) {
		t.Errorf("taken %v", ids)
	}
	f.wantCounted(map[problem.Code]int{problem.TooLarge: 1})
}

// A line that needs more memory beside its body than there ever is is refused for good.
func TestLineThatNeverFits(t *testing.T) {
	o := standard()
	o.intake.MemoryBytes = 1_000_000
	h := newHandler(t, o, &greedyJournal{})
	text := aPacket("1", 600_000) // the body fits, and not beside the packet that is made of it
	received, reason := h.memory.Lend(len(text))
	if reason != "" {
		t.Fatal(reason)
	}
	received.Body = append(received.Body, text...)
	b := h.batches.Get().(*batch)
	h.takeLines(&submission{}, received, 0, b)
	if b.refused.lines != 1 || b.first != problem.TooLarge || b.retryable != "" || h.memory.Held() != 0 {
		t.Errorf("%d lines are refused, for %q, retryable %q; %d bytes are held", b.refused.lines, b.first, b.retryable, h.memory.Held())
	}
}

// A request is refused as a whole if there is no memory for its list of refused lines.
func TestListMemoryIsReservedFirst(t *testing.T) {
	f := serve(t, standard())
	f.journal.limitBytes = 1 << 20
	body := aPacket("1", 0) + strings.Repeat("\nx", 60_000)
	if r := f.exchange(post(body, linesType)).wantRefusal(t, 503, problem.Overloaded); len(r.Refused) > 0 {
		t.Errorf("listed %+v", r.Refused)
	}
	if len(f.journal.records()) > 0 {
		t.Error("a line was taken")
	}
	f.wantCounted(map[problem.Code]int{problem.Overloaded: 1})
}

// No entry is longer than the bound that is used to reserve memory.
func TestLongestEntry(t *testing.T) {
	for _, code := range problem.Refusals() {
		list := refusedLines{lines: maxDetailedLines}
		list.add(maxLines, problem.Problem{Code: code, Detail: "d", PacketID: "p"})
		if len(list.text) > lineBytes {
			t.Errorf("%s: %d bytes", list.text, len(list.text))
		}
	}
}

// The memory of a long list is not kept after the request.
func TestLongListIsNotKept(t *testing.T) {
	for size, kept := range map[int]int{http1.MaxPooledBytes: http1.MaxPooledBytes, http1.MaxPooledBytes + 1: 0} {
		list := refusedLines{text: make([]byte, size), lines: 7}
		if next := list.emptied(); cap(next.text) != kept || len(next.text) > 0 || next.lines != 0 {
			t.Errorf("of a list of %d bytes %d are kept", size, cap(next.text))
		}
	}
}

// The memory of a response counts as held until the response is sent.
func TestLongListIsHeldUntilItIsSent(t *testing.T) {
	h := newHandler(t, standard(), &greedyJournal{putErr: journal.ErrUnwritable})
	const lines = 5000
	body := strings.Repeat("\n", maxLines-lines) + strings.Repeat(aPacket("p", 0)+"\n", lines)
	request, _ := requestOf(t, strings.NewReader(body), len(body), linesType)
	var response http1.Response
	h.Handle(request, &response)
	held := h.memory.Held()
	_, unexplained, _ := bytes.Cut(response.Body, fmt.Appendf(nil, `{"line":%d,`, maxLines-lines+maxDetailedLines+1))
	if size := int64(len(unexplained)); held != listBytes(lines) || size > held/2 || size < held/3 {
		t.Errorf("%d bytes are held for a response with %d of lines that are not explained", held, size)
	}
	response.Sent()
	if left := h.memory.Held(); left != 0 {
		t.Errorf("%d bytes are held when it is sent", left)
	}
}

func TestLinesTraceparent(t *testing.T) {
	f := serve(t, standard())
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	f.exchange(post(aPacket("1", 0)+"\n"+aPacket("2", 0), linesType, "traceparent: "+trace))
	for _, r := range f.journal.records() {
		if r.traceparent != trace {
			t.Errorf("%+v", r)
		}
	}
}

// Many small packets need more memory than their text. Packets beyond the capacity are refused line
// by line.
func TestLinesStayWithinCapacity(t *testing.T) {
	f := serve(t, standard())
	f.journal.limitBytes = 1 << 20
	const lines = 4000 // 400 kB of text
	text := strings.TrimSuffix(strings.Repeat(aPacket("p", 0)+"\n", lines), "\n")
	a := f.exchange(post(text, linesType))
	var got struct {
		Accepted int
		Refused  []refusedLine
	}
	if err := json.Unmarshal([]byte(a.text), &got); err != nil || a.StatusCode != 207 {
		t.Fatalf("%d %.200s: %v", a.StatusCode, a.text, err)
	}
	if got.Accepted == 0 || got.Accepted+len(got.Refused) != lines || len(f.journal.records()) != got.Accepted {
		t.Errorf("accepted %d, refused %d, taken %d of %d", got.Accepted, len(got.Refused), len(f.journal.records()), lines)
	}
}

// A packet without capacity does not cause refusals of the packets behind it.
func TestLinesAfterLineWithoutCapacity(t *testing.T) {
	f := serve(t, standard())
	f.journal.noCapacityFor = "2"
	a := f.exchange(post(aPacket("1", 0)+"\n"+aPacket("2", 0)+"\n"+aPacket("3", 0), linesType))
	if a.StatusCode != 207 || !strings.Contains(a.text, `"accepted":2,"refused":[{"line":2,"packet_id":"2","code":"overloaded"`) {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if ids := f.ids(); !reflect.DeepEqual(ids, []string{"1", "3"}) {
		t.Errorf("taken %v", ids)
	}
}

// The packets of a request are parts of its body, which is held until the last packet is released.
func TestLinesAreParts(t *testing.T) {
	f := serve(t, standard())
	f.journal.keeps = true
	first, second := aPacket("1", 700), aPacket("2", 600)
	if a := f.exchange(post(first+"\n"+second+"\n", linesType)); a.StatusCode != 202 || len(f.journal.kept) != 2 {
		t.Fatalf("%d %s, %d packets", a.StatusCode, a.text, len(f.journal.kept))
	}
	for i, p := range f.journal.kept {
		line, ended := p.Line()
		if want := []string{first, second}[i] + "\n"; !ended || string(line) != want {
			t.Errorf("packet %d is %q", i, line)
		}
	}
	body := packet.FootprintOf(len(first) + len(second) + 2)
	for _, p := range f.journal.kept {
		if held := f.handler.memory.Held(); held != body {
			t.Errorf("%d bytes are held with parts, want %d", held, body)
		}
		p.Release()
	}
	if held := f.handler.memory.Held(); held != 0 {
		t.Errorf("%d bytes are held in the end", held)
	}
}

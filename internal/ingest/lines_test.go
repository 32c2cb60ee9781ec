package ingest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"logstreamer/internal/journal"
	"logstreamer/internal/problem"
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
		t.Errorf("answer %s", a.text)
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

// The journal takes some; the answer says exactly which.
func TestLinesPartlyWithoutRoom(t *testing.T) {
	f := serve(t, standard())
	f.journal.most = 2
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

func TestLinesNoneTaken(t *testing.T) {
	f := serve(t, standard())
	f.journal.putErr = journal.ErrUnwritable
	r := f.exchange(post(aPacket("1", 0)+"\nx\n"+aPacket("2", 0), linesType)).wantRefusal(t, 503, problem.JournalUnwritable)
	if len(r.Refused) != 3 {
		t.Errorf("listed %+v", r.Refused)
	}
	f.wantCounted(map[problem.Code]int{problem.JournalUnwritable: 2, problem.Malformed: 1})
}

func TestLinesListIsBounded(t *testing.T) {
	f := serve(t, standard())
	const lines = 5000
	r := f.exchange(post(strings.Repeat("x\n", lines), linesType)).wantRefusal(t, 400, problem.Malformed)
	if len(r.Refused) != listedRefusals || r.RefusedTotal != lines {
		t.Errorf("listed %d, total %d", len(r.Refused), r.RefusedTotal)
	}
	f.wantCounted(map[problem.Code]int{problem.Malformed: lines})
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

// Many small packets need more memory than their text. What does not fit is
// refused line by line.
func TestLinesStayWithinRoom(t *testing.T) {
	f := serve(t, standard())
	f.journal.limitBytes = 1 << 20
	const lines = 4000 // 400 kB of text
	text := strings.TrimSuffix(strings.Repeat(aPacket("p", 0)+"\n", lines), "\n")
	a := f.exchange(post(text, linesType))
	var got struct {
		Accepted int
		Total    int `json:"refused_total"`
	}
	if err := json.Unmarshal([]byte(a.text), &got); err != nil || a.StatusCode != 207 {
		t.Fatalf("%d %.200s: %v", a.StatusCode, a.text, err)
	}
	if got.Accepted == 0 || got.Accepted+got.Total != lines || len(f.journal.records()) != got.Accepted {
		t.Errorf("accepted %d, refused %d, taken %d of %d", got.Accepted, got.Total, len(f.journal.records()), lines)
	}
}

// A packet without room does not speak for those behind it.
func TestLinesBehindOneWithoutRoom(t *testing.T) {
	f := serve(t, standard())
	f.journal.noRoomFor = "2"
	a := f.exchange(post(aPacket("1", 0)+"\n"+aPacket("2", 0)+"\n"+aPacket("3", 0), linesType))
	if a.StatusCode != 207 || !strings.Contains(a.text, `"accepted":2,"refused":[{"line":2,"packet_id":"2","code":"overloaded"`) {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if ids := f.ids(); !reflect.DeepEqual(ids, []string{"1", "3"}) {
		t.Errorf("taken %v", ids)
	}
}

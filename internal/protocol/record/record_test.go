package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

// lender lends up to a limit of bytes.
type lender struct{ *intake.Intake }

func newLender(t testing.TB, limit int64) lender {
	i := intake.New(intake.Config{MemoryBytes: limit, Mode: intake.ModeOpen}, intake.Dependencies{
		Journal: roomy{}, Pool: new(packet.Pool), Accepting: func() bool { return true },
	})
	t.Cleanup(func() {
		if held := i.Memory().Held(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
	return lender{i}
}

// AwaitMemory does not wait.
func (l lender) AwaitMemory(_ context.Context, size int) (*packet.Packet, intake.Reason) {
	return l.Memory().Lend(size)
}

type roomy struct{ intake.Journal }

func (roomy) CheckCapacity(int) error { return nil }
func (roomy) Fits(int) bool           { return true }

var ample = Limits{Bytes: 10 << 20, Messages: 10_000}

// decoded is a packet as its analyzer reads it.
type decoded struct {
	EmitterID string            `json:"emitter_id"`
	PacketID  string            `json:"packet_id"`
	Resource  map[string]string `json:"resource"`
	Messages  []struct {
		Timestamp int64             `json:"timestamp"`
		Level     string            `json:"level"`
		Message   string            `json:"message"`
		Metadata  map[string]string `json:"metadata"`
		Types     map[string]string `json:"types"`
		BodyType  string            `json:"body_type"`
		Scope     *int              `json:"scope"`
	} `json:"messages"`
}

// seal completes the packets, checks that their Info equals that of packet.Check, and releases
// them.
func seal(t interface {
	Helper()
	Fatalf(string, ...any)
}, p *Packets, l lender) (all []decoded) {
	t.Helper()
	for _, one := range p.Seal("test-0123") {
		info, err := packet.Check(one.Body, ample.Messages)
		if err != nil {
			t.Fatalf("%v: %.300s", err, one.Body)
		}
		if info != one.Info {
			t.Fatalf("the packet has %+v, and Check says %+v: %.300s", one.Info, info, one.Body)
		}
		var d decoded
		if err := json.Unmarshal(one.Body, &d); err != nil {
			t.Fatalf("%v", err)
		}
		all = append(all, d)
		l.Memory().Drop(one)
	}
	return all
}

func add(t testing.TB, g *Group, m *Message) {
	t.Helper()
	if err := g.Add(m); err != nil {
		t.Fatal(err)
	}
}

func TestMessage(t *testing.T) {
	l := newLender(t, 1<<20)
	p := NewPackets(t.Context(), l, ample)
	var m Message
	m.Begin(12)
	m.SetLevelText([]byte(" Warning "))
	m.SetBody([]byte("a \"b\"\n\x01\xff é"))
	m.Set("trace_id", []byte("00ff"))
	m.Add([]byte("trace_id"), []byte("its own"))
	m.AddTyped([]byte("n"), []byte("5"), packet.TypeInt)
	m.SetScope(1)
	m.SetBodyType(packet.TypeJSON)
	add(t, p.GroupWith("key", []byte("e/\"1\""), []byte(`"resource":{"a":"b"},`)), &m)
	m.Begin(13)
	add(t, p.Group([]byte("f")), &m)
	m.Begin(14)
	m.SetLevelText([]byte("own"))
	m.SetBody(nil)
	add(t, p.Group([]byte("f")), &m)

	got := seal(t, p, l)
	if len(got) != 2 || got[0].EmitterID != `e/"1"` || got[0].PacketID != "test-0123-0" || got[1].PacketID != "test-0123-1" || got[0].Resource["a"] != "b" {
		t.Fatalf("%+v", got)
	}
	text, err := json.Marshal(got[0].Messages)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"timestamp":12,"level":"WARN","message":"a \"b\"\n\u0001\ufffd é","metadata":{"attributes.trace_id":"its own","invalid_utf8":"true","n":"5","trace_id":"00ff"},"types":{"n":"i"},"body_type":"j","scope":1}]`
	if strings.ReplaceAll(string(text), "\uFFFD", `\ufffd`) != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
	for n, level := range []string{"INFO", "own"} {
		if one := got[1].Messages[n]; one.Level != level || one.Message != "(empty)" || one.Metadata["body_empty"] != "true" || one.Metadata["invalid_utf8"] != "" {
			t.Errorf("message %d is %+v", n, one)
		}
	}
}

// Packets are cut at 500 messages or 512 KiB, by emitter, in order.
func TestCut(t *testing.T) {
	for name, c := range map[string]struct {
		messages, bytes int
		limits          Limits
		want            []int
	}{
		"messages":       {1100, 10, ample, []int{500, 500, 100}},
		"fewer by limit": {250, 10, Limits{Bytes: 1 << 20, Messages: 100}, []int{100, 100, 50}},
		"bytes":          {12, 100 << 10, ample, []int{5, 5, 2}},
		"large ones":     {3, 600 << 10, ample, []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLender(t, 64<<20)
			p := NewPackets(t.Context(), l, c.limits)
			var m Message
			for n := range c.messages {
				for _, emitter := range []string{"e", "f"} {
					m.Begin(int64(n + 1))
					m.SetBody([]byte(strings.Repeat("x", c.bytes)))
					add(t, p.Group([]byte(emitter)), &m)
				}
			}
			next := map[string]int64{"e": 1, "f": 1}
			sizes := map[string][]int{}
			for _, one := range seal(t, p, l) {
				sizes[one.EmitterID] = append(sizes[one.EmitterID], len(one.Messages))
				for _, m := range one.Messages {
					if m.Timestamp != next[one.EmitterID] {
						t.Fatalf("%s: %d comes, and %d is next", one.EmitterID, m.Timestamp, next[one.EmitterID])
					}
					next[one.EmitterID]++
				}
			}
			if fmt.Sprint(sizes["e"], sizes["f"]) != fmt.Sprint(c.want, c.want) {
				t.Errorf("packets of %v messages, want %v each", sizes, c.want)
			}
		})
	}
}

func TestTooLargeMessages(t *testing.T) {
	const others = 16 << 10
	l := newLender(t, 64<<10+others)
	if reason := l.Memory().Reserve(others); reason != "" {
		t.Fatal(reason)
	}
	defer l.Memory().Free(others)
	p := NewPackets(t.Context(), l, Limits{Bytes: 10_000, Messages: 10})
	var m Message
	m.Begin(1)
	m.SetBody(bytes.Repeat([]byte("x"), 10_000))
	if err := p.Group([]byte("e")).Add(&m); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record over the limit: %v", err)
	}
	m.Begin(1)
	m.SetBody(bytes.Repeat([]byte("x"), 9_000))
	var unavailable UnavailableError
	for range 20 {
		if err := p.Group([]byte("e")).Add(&m); err != nil {
			if !errors.As(err, &unavailable) || intake.Reason(unavailable) != intake.Overloaded {
				t.Errorf("without memory: %v", err)
			}
			break
		}
	}
	if unavailable == "" {
		t.Error("the memory does not end")
	}
	p.Drop()
}

func TestLongEmitter(t *testing.T) {
	l := newLender(t, 1<<20)
	p := NewPackets(t.Context(), l, ample)
	var m Message
	m.Begin(1)
	add(t, p.Group([]byte(strings.Repeat("é", 200)+"x")), &m)
	for emitter := range p.Emitters() {
		if want := strings.Repeat("é", 128); string(emitter) != want {
			t.Errorf("it is %q", emitter)
		}
	}
	seal(t, p, l)
}

func TestLevels(t *testing.T) {
	for name, want := range map[string]string{
		"info": Info, "WARNING": Warn, "crit": Critical, "alert": Critical, "fatal": Fatal, "emerg": Fatal, "panic": Fatal,
		"trace": Trace, "debug": Debug, "notice": Notice, "err": Error, "": "", "else": "",
	} {
		if got := NamedLevel([]byte(name)); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	for severity, want := range []string{Fatal, Critical, Critical, Error, Warn, Notice, Info, Debug, ""} {
		if got := SyslogLevel(severity); got != want {
			t.Errorf("severity %d is %q, want %q", severity, got, want)
		}
	}
	if PinoLevel(30) != Info || PinoLevel(31) != "" || SyslogLevel(-1) != "" {
		t.Error("a number has the wrong level")
	}
}

// AppendText writes valid text as encoding/json does, except characters of HTML.
func TestAppendText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		if rapid.Bool().Draw(t, "plain") {
			text = []byte(rapid.StringMatching(`[ -~]{0,60}[\n"\\é\x{1F600}]?[ -~]{0,20}`).Draw(t, "plain text"))
		}
		quoted := AppendQuoted(nil, text)
		var got string
		if err := json.Unmarshal(quoted, &got); err != nil {
			t.Fatalf("%q: %v", quoted, err)
		}
		if want := strings.ToValidUTF8(string(text), "\uFFFD"); utf8.Valid(text) && got != want {
			t.Fatalf("%q became %q", text, got)
		}
		if _, valid := AppendText(nil, text); valid != utf8.Valid(text) {
			t.Fatalf("%q is valid: %v", text, valid)
		}
	})
}

func TestAddMembers(t *testing.T) {
	l := newLender(t, 1<<20)
	p := NewPackets(t.Context(), l, ample)
	deep := strings.Repeat(`{"d":`, 17) + "1" + strings.Repeat("}", 17)
	object, err := jsontext.Valid([]byte(`{"s":"text","i":5,"f":1.5,"t":true,"no":false,"z":null,"a":[1,{"b":2}],"o":{"p":{"q":"r"},"e":{}},"skipped":7,"x":` + deep + ` , "big": 12345678901234567890, "trace_id":"t", "\u0069nput": "\u00e9"}`))
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	m.Begin(1)
	m.AddMembers(object, func(value []byte) bool { return string(value) == "7" })
	add(t, p.Group([]byte("e")), &m)
	got := seal(t, p, l)[0].Messages[0]
	delete(got.Metadata, "body_empty")
	bottom := "x" + strings.Repeat(".d", 15)
	want := map[string]string{
		"s": "text", "i": "5", "f": "1.5", "t": "true", "no": "false", "z": "", "a": `[1,{"b":2}]`, "o.p.q": "r", "o.e": "{}",
		bottom: `{"d":{"d":1}}`, "big": "12345678901234567890", "attributes.trace_id": "t", "attributes.input": "é",
	}
	types := map[string]string{"i": "i", "f": "d", "t": "b", "no": "b", "z": "n", "a": "j", "o.e": "j", bottom: "j", "big": "j"}
	if fmt.Sprint(got.Metadata) != fmt.Sprint(want) || fmt.Sprint(got.Types) != fmt.Sprint(types) {
		t.Errorf("metadata %v\nwant     %v\ntypes %v\nwant  %v", got.Metadata, want, got.Types, types)
	}
}

// Halves of surrogate pairs, which JavaScript makes when it cuts a text, are invalid.
func TestHalfPairs(t *testing.T) {
	l := newLender(t, 1<<20)
	p := NewPackets(t.Context(), l, ample)
	add := func(text string) {
		object, err := jsontext.Valid([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var m Message
		m.Begin(1)
		for name, value := range jsontext.Members(object) {
			if string(name) == "message" {
				m.SetBodyJSON(value)
			}
		}
		m.AddMembers(object, nil)
		add(t, p.Group([]byte("e")), &m)
	}
	add(`{"message":"\ud83d\ude00 \\ud800 \ufffd","k":"\uD83D\uDE00"}`)
	add(`{"message":"cut \ud83d","k\udc00":"\"\ud800\n","l":"\ud800\ud800\udc00\\"}`)
	packets := p.Seal("test")
	defer l.Memory().Drop(packets[0])
	if body := packets[0].Body; !bytes.Contains(body, []byte(`\ud83d\ude00`)) || bytes.Contains(body, []byte(`cut \u`)) {
		t.Errorf("%s", body)
	}
	var got struct {
		Messages []struct {
			Message  string
			Metadata map[string]string
		}
	}
	if err := json.Unmarshal(packets[0].Body, &got); err != nil {
		t.Fatal(err)
	}
	if m := got.Messages[0]; m.Message != "😀 \\ud800 \ufffd" || m.Metadata["k"] != "😀" || m.Metadata["invalid_utf8"] != "" {
		t.Errorf("%+q", m)
	}
	if m := got.Messages[1]; m.Message != "cut \ufffd" || m.Metadata["k\ufffd"] != "\"\ufffd\n" || m.Metadata["l"] != "\ufffd𐀀\\" || m.Metadata["invalid_utf8"] != "true" {
		t.Errorf("%+q", m)
	}
}

// Packets of several messages are cut at the limit.
func TestPacketsAreCut(t *testing.T) {
	const messages, limit = 100, 10_000
	l := newLender(t, 64<<20)
	p := NewPackets(t.Context(), l, Limits{Bytes: limit, Messages: messages})
	var m Message
	for range messages {
		m.Begin(1)
		m.SetBody([]byte(strings.Repeat("x", 1000)))
		add(t, p.Group([]byte("e")), &m)
	}
	got := 0
	for _, sealed := range p.Seal("test") {
		if got += sealed.Messages; len(sealed.Body) > limit {
			t.Errorf("a packet has %d bytes", len(sealed.Body))
		}
		l.Memory().Drop(sealed)
	}
	if got != messages {
		t.Errorf("%d messages", got)
	}
}

// counted is a lender that counts.
type counted struct {
	lender
	lent *[]int // sizes
}

func (c counted) AwaitMemory(ctx context.Context, size int) (*packet.Packet, intake.Reason) {
	*c.lent = append(*c.lent, size)
	return c.lender.AwaitMemory(ctx, size)
}

// Packets of about the expected size take their memory once, and others no more than they need.
func TestExpect(t *testing.T) {
	const messages, bytes = 100, 1000
	for name, c := range map[string]struct{ expected, lent int }{
		"nothing": {0, 6}, "enough": {messages * (bytes + 100), 1}, "too much": {10 * messages * bytes, 1}, "too little": {messages * bytes / 2, 2},
	} {
		l := counted{newLender(t, 64<<20), new([]int)}
		p := NewPackets(t.Context(), l, ample)
		p.Expect(c.expected)
		var m Message
		for n := range messages + 1 {
			m.Begin(1)
			m.SetBody([]byte(strings.Repeat("x", bytes)))
			group := "many"
			if n == messages {
				group = "one" // is not expected
			}
			add(t, p.Group([]byte(group)), &m)
		}
		if len(*l.lent) != c.lent+1 || slices.Max(*l.lent) > maxBytes {
			t.Errorf("%s: the sizes %v are lent", name, *l.lent)
		}
		if last := (*l.lent)[len(*l.lent)-1]; last > 2*firstBytes {
			t.Errorf("%s: %d bytes are lent to one message", name, last)
		}
		for _, sealed := range p.Seal("test") {
			if limit := maxWaste * float64(packet.FootprintOf(len(sealed.Body))); float64(sealed.Footprint()) > limit {
				t.Errorf("%s: a packet of %d bytes holds %d", name, len(sealed.Body), sealed.Footprint())
			}
			l.Memory().Drop(sealed)
		}
	}
}

// Packets that the number of messages bounds hold little more memory than they need while others
// follow, whatever size is expected.
func TestSmallMessages(t *testing.T) {
	const messages = 20_000
	l := counted{newLender(t, 6<<20), new([]int)}
	p := NewPackets(t.Context(), l, ample)
	p.Expect(4 << 20)
	var m Message
	for range messages {
		m.Begin(1)
		m.SetBody([]byte("a small message"))
		add(t, p.Group([]byte("many")), &m)
	}
	if limit := messages/maxMessages + 5; len(*l.lent) > limit {
		t.Errorf("memory is lent %d times", len(*l.lent))
	}
	if p.Len() != messages/maxMessages {
		t.Errorf("there are %d packets", p.Len())
	}
	seal(t, p, l.lender)
}

// A request that needs more memory than the total is too large; a request that needs more than the
// free memory is not.
func TestRequestsThatNeedTooMuchMemory(t *testing.T) {
	for name, c := range map[string]struct {
		beside, others int64
		want           intake.Reason
	}{
		"alone": {0, 0, intake.TooLarge}, "with a body": {1 << 20, 0, intake.TooLarge}, "with others": {0, 1 << 20, intake.Overloaded},
	} {
		l := newLender(t, 3<<20)
		if reason := l.Memory().Reserve(c.others); reason != "" {
			t.Fatal(reason)
		}
		p := NewPackets(t.Context(), l, ample)
		p.Beside(c.beside)
		var m Message
		var err error
		for err == nil {
			m.Begin(1)
			m.SetBody(bytes.Repeat([]byte("x"), 1000))
			err = p.Group([]byte("many")).Add(&m)
		}
		if got, ok := errors.AsType[UnavailableError](err); !ok || intake.Reason(got) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if p.Messages() < 1000 {
			t.Errorf("%s: %d messages have memory", name, p.Messages())
		}
		p.Drop()
		l.Memory().Free(c.others)
	}
}

func BenchmarkAdd(b *testing.B) {
	l := newLender(b, 64<<20)
	body, key, value := bytes.Repeat([]byte("some words of a message "), 6), []byte("http.request.method"), []byte("GET /index.html")
	var m Message
	b.ReportAllocs()
	for b.Loop() {
		p := NewPackets(b.Context(), l, ample)
		g := p.Group([]byte("service/instance"))
		for range maxMessages {
			m.Begin(1640995200000)
			m.SetLevel(Info)
			m.SetBody(body)
			for range 4 {
				m.Add(key, value)
			}
			if err := g.Add(&m); err != nil {
				b.Fatal(err)
			}
		}
		p.Drop()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*maxMessages), "ns/record")
}

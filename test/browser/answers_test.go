package browser

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
)

// moment is a state of a page: the values of its last seconds, one or all of a column, and one
// analyzer with room for 100 packets.
type moment struct {
	Accepted    []float64 `json:"accepted_messages_per_s"`
	Delivered   []float64 `json:"delivered_messages_per_s"`
	Undelivered []float64 `json:"undelivered_messages"`
	Oldest      []float64 `json:"oldest_age_s"`
	Journal     []float64 `json:"journal_utilization"`
	Held        []float64 `json:"held"` // by the analyzer, packets
	Routed      []float64 `json:"routed"`
	Out         string    `json:"out"`
}

// said is what the page says about a moment.
type said struct {
	Verdict, Backlog, Analyzer, State string
	Warnings                          []string
	Rate                              float64
}

// explain evaluates the page's words for a moment, at once, so that the stream does not interfere.
const explain = `import('/console/console.js').then(({modules}) => {
	const m = %s, {state, merged} = modules['store.js'], {answers, warnings, verdict} = modules['verdict.js'], {stateWords} = modules['condition.js'];
	const {held, routed, out, ...columns} = m, values = {total_analyzers: 1, healthy_analyzers: 1, unaccounted_messages: 0};
	for (const name in columns) values[name] = columns[name]?.at(-1);
	values.undelivered_packets = values.undelivered_messages;
	const before = {...state}, status = {queue_limit_packets: 100, queue: {packets: 0}, in_flight: {packets: 0}, health: 'healthy', deviation_messages: 0, share: 1};
	Object.assign(state, {columns: Object.fromEntries(Object.entries(columns).filter(([, c]) => c)), refused: [], cluster: null, left: [], backlog: null, times: [1],
		parts: {a1: {queued_packets: held, in_flight_packets: held?.map(() => 0), routed_messages_per_s: routed}}, analyzers: [{id: 'a1', spec: {state: 'ready'}, status}],
		snapshot: {time: Date.now(), values, texts: {}, analyzers: {a1: {routed_messages_per_s: routed?.at(-1)}}, analyzer_texts: {a1: {out}}}});
	try {
		const found = warnings(), a = merged()[0], all = answers();
		const plain = text => text.replaceAll('\u00a0', ' ');
		return {Verdict: plain(verdict(found).text), Backlog: plain(all[3].text + ' ' + all[3].more), Analyzer: plain(all[1].text + ' ' + all[1].more), State: stateWords(a), Warnings: found.map(w => plain(w.text)), Rate: a.rate ?? 0};
	} finally {
		Object.assign(state, before);
	}
})`

// line returns n values from first to last.
func line(first, last float64, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = first + (last-first)*float64(i)/float64(n-1)
	}
	return values
}

// bursts are those of an analyzer that delivers 1000 a second, five seconds' at once.
var bursts = []float64{0, 0, 0, 0, 5000, 0, 0, 0, 0, 5000, 0, 0, 0, 0}

var level1000 = line(1000, 1000, 15)

var moments = []struct {
	name    string
	moment  moment
	backlog string
	warning string // the only one; empty for none
}{
	{"it grows, and is old", moment{Accepted: level1000, Delivered: line(200, 200, 15), Undelivered: line(8000, 19200, 15), Oldest: line(6, 20, 15), Journal: line(0.1, 0.114, 15)},
		`^Not yet: it grows 19,200 messages, the oldest 20 s old; 800 messages/s more in than out; the journal is full in about 14 min 46 s$`,
		`^19,200 messages wait, the oldest for 20 s: the backlog grows\.$`},
	{"it grows, and its files are about to be removed", moment{Accepted: level1000, Delivered: line(900, 900, 15), Undelivered: line(100, 1500, 15), Oldest: line(1, 2, 15), Journal: line(0.1, 0.114, 15)},
		`^Not yet: it grows 1,500 messages, the oldest 2\.0 s old; 100 messages/s more in than out$`, ``},
	{"it stays", moment{Accepted: level1000, Delivered: level1000, Undelivered: line(20000, 20000, 15), Oldest: line(20, 20, 15)},
		`^Not yet: it stays as it is 20,000 messages, the oldest 20 s old; as many come in as go out$`,
		`^20,000 messages wait, the oldest for 20 s: the backlog stays as it is\.$`},
	{"nothing comes, and nothing is delivered", moment{Accepted: line(0, 0, 15), Delivered: line(0, 0, 15), Undelivered: line(12000, 12000, 15), Oldest: line(1, 15, 15)},
		`^Not yet: nothing is delivered 12,000 messages, the oldest 15 s old$`,
		`^12,000 messages wait, the oldest for 15 s: nothing is delivered\.$`},
	// In is less than Out: what grew is the past.
	{"it grew until ten seconds ago", moment{Accepted: append(line(20000, 20000, 5), line(2000, 2000, 10)...), Delivered: line(5000, 5000, 15), Undelivered: append(line(15000, 75000, 5), line(72000, 45000, 10)...), Oldest: line(1, 8, 15)},
		`^In about 15 s 45,000 messages, the oldest 8\.0 s old; 3,000 messages/s more out than in$`, ``},
	{"its limit is near", moment{Accepted: level1000, Delivered: line(900, 900, 15), Undelivered: line(100, 1500, 15), Oldest: line(1, 2, 15), Journal: line(0.83, 0.9, 15)},
		`^Not yet: it grows 1,500 messages`, `^The journal is 90 % full \(INGEST_BUFFER_SIZE\): at this rate it is full in about 20 s, and packets are refused then\.$`},
	{"it shrinks in bursts", moment{Accepted: line(0, 0, 14), Delivered: bursts, Undelivered: line(30000, 20000, 14), Oldest: line(1, 15, 14)},
		`^In about 26 s 20,000 messages, the oldest 15 s old; 769 messages/s more out than in$`,
		`^20,000 messages wait, the oldest for 15 s: the backlog shrinks\.$`},
}

// The page says how a backlog ends, also when its numbers come in bursts or the intake has stopped.
func TestBacklogAnswers(t *testing.T) {
	parallel(t)
	b := open(t, newHarness(t, ""), 1280, "light", "")
	b.snapshots(1)
	for _, m := range moments {
		got := b.explain(m.moment)
		if !regexp.MustCompile(m.backlog).MatchString(got.Backlog) {
			t.Errorf("%s: the backlog: %q, want %s", m.name, got.Backlog, m.backlog)
		}
		if m.warning == "" && len(got.Warnings) > 0 || m.warning != "" && (len(got.Warnings) != 1 || !regexp.MustCompile(m.warning).MatchString(got.Warnings[0])) {
			t.Errorf("%s: the warnings: %q, want %s", m.name, got.Warnings, m.warning)
		}
	}
}

// An analyzer is full in all places of the page or in none, and what it gets in bursts is a rate.
func TestFullAnswers(t *testing.T) {
	parallel(t)
	b := open(t, newHarness(t, ""), 1280, "light", "")
	b.snapshots(1)
	calm := moment{Accepted: level1000, Delivered: level1000, Undelivered: line(20000, 20000, 15), Oldest: line(20, 20, 15), Routed: bursts}
	for _, c := range []struct {
		name string
		held []float64
		out  string
		full bool
	}{
		{"for ten seconds", line(95, 95, 15), "no_room", true},
		{"with room for a moment", line(95, 95, 15), "", true},
		{"for a moment", line(20, 20, 15), "no_room", false},
		{"of which no columns are known", nil, "no_room", true},
		{"with room, of which no columns are known", nil, "", false},
	} {
		m := calm
		m.Held, m.Out = c.held, c.out
		got := b.explain(m)
		want := said{State: "healthy", Verdict: "20,000 messages wait, the oldest for 20 s: the backlog stays as it is.", Analyzer: "Nobody 1 of 1 analyzer takes packets"}
		if c.full {
			want = said{State: "full", Verdict: "a1 is full: more comes than it delivers.", Analyzer: want.Analyzer + "; a1 is full"}
		}
		if got.State != want.State || got.Verdict != want.Verdict || got.Analyzer != want.Analyzer || len(got.Warnings) != 1 {
			t.Errorf("full %s: %+v, want %+v", c.name, got, want)
		}
		if got.Rate != 1000 {
			t.Errorf("the rate is %v, want 1000", got.Rate)
		}
	}
}

func (b *tab) explain(m moment) said {
	b.Helper()
	text, err := json.Marshal(m)
	b.must(err)
	return value[said](b, fmt.Sprintf(explain, text))
}

// A reason that another analyzer has with its cause is not repeated, and a limit of 0 is none.
func TestReasonsAndLimits(t *testing.T) {
	parallel(t)
	b := open(t, newHarness(t, ""), 1280, "light", "")
	b.snapshots(1)
	got := value[string](b, `import('/console/console.js').then(({modules}) => {
		const out = {state: 'ready', out: 'breaker_open'}, {value} = modules['format.js'];
		return [modules['condition.js'].reasons([out, {...out, outage: 'no response within 500ms'}]), value(0, 'settings/rate_limit'), value(5000, 'settings/rate_limit')].join('; ').replaceAll('\u00a0', ' ');
	})`)
	if want := "their breakers are open (no response within 500ms); no limit; 5,000 messages/s"; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
}

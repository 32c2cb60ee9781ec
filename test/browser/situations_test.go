package browser

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

var looks = flag.String("looks", "", "directory that tests write a picture of each situation to, in three widths, light and dark")

// situation is a state of the system, and the required content of the console's first screen.
type situation struct {
	name     string
	settings []string // of the distributor; without ANALYZERS there are three analyzers
	// load starts and changes the load; the page is open before it begins.
	load func(w *harness, d *started)
	// verdict and answers are regular expressions of the banner and of its four answers: what is
	// lost, which analyzers are out and why, which emitter has the highest rate, when the backlog
	// is gone.
	verdict string
	answers [4]string
	// router is what the router does in the way of a packet, and shares what the analyzers' shares
	// follow, as regular expressions; empty: it does not matter.
	router, shares string
	// picture is the picture's name in the documentation; empty: there is none.
	picture string
	// late is whether a page that is opened later shows the same.
	late bool
	// full is whether other files fill the disk of the data directory.
	full bool
}

const (
	nothing, nobody = `^Nothing since the start: 0 messages unaccounted, 0 dead letters$`, `^Nobody 3 of 3 analyzers take packets`
	refused         = `^Nothing that was accepted since the start: 0 messages unaccounted, 0 dead letters; [\d,]+ packets? refused in 15 min: emitters must send them again$`
	some            = `^Nothing( that was accepted)? since the start: 0 messages unaccounted, 0 dead letters`
	noPress, noRest = `^Nobody no messages come in$`, `^There is none `
	top             = `^batch-7 sends about [\d,.]+ messages/s, \d+ % of all`
)

// usual is the load of two emitters, one of which sends four times as much.
func usual(w *harness) {
	w.emit("web-1", 40, "1-100")
	w.emit("batch-7", 160, "1-100")
}

func (w *harness) behave(b analyzertest.Behaviour, numbers ...int) {
	for _, i := range numbers {
		w.analyzers[i].Behave(b)
	}
}

// slow is an analyzer that delivers 33 packets/s.
var slow = analyzertest.Behaviour{Service: 30 * time.Millisecond, Workers: 1}

var situations = []situation{
	{name: "nothing yet", verdict: `^Ready, and no traffic: 3 of 3`, answers: [4]string{nothing, nobody, noPress, noRest}},
	{name: "all is well", load: func(w *harness, _ *started) { usual(w) }, verdict: `^All is well: nothing is lost, 3 of 3`, answers: [4]string{nothing, nobody, top + `$`, noRest}, router: `^\d+ of ±\d+ messages off$`},
	{name: "an analyzer is dead", load: func(w *harness, _ *started) {
		usual(w)
		w.behave(analyzertest.Behaviour{Refuse: true}, 1)
	}, verdict: `^a2 is out: its breaker is open \(.*connection refused.*\)\. The others take the share; nothing is lost by that\. What to do`,
		answers: [4]string{nothing, `^a2 its breaker is open \(.*refused.*\), next try (now|in \d.*s)$`, top, noRest}, router: `^\d+ of ±\d+ messages off$`, shares: `^a2 is out: its part is due to the others, by their weights\. Off by is measured against what is due\.$`},
	{name: "an analyzer answers 500", load: func(w *harness, _ *started) {
		usual(w)
		w.behave(analyzertest.Behaviour{Status: 500, Probes: true}, 2)
	}, verdict: `^a3 is out: its breaker is open \(.*500.*\)`, answers: [4]string{nothing, `^a3 its breaker is open \(.*500.*\), next try`, top, noRest}},
	{name: "an analyzer returns", settings: []string{"SLOW_START_SEC=600"}, load: func(w *harness, _ *started) {
		usual(w)
		w.behave(analyzertest.Behaviour{Refuse: true}, 1)
		w.eventually("/v1/analyzers/a2", `"breaker":"open"`)
		w.behave(analyzertest.Behaviour{}, 1)
	}, verdict: `^All is well`, answers: [4]string{nothing, `^Nobody 3 of 3 analyzers take packets; (a1, )?a2(, a3)? (is|are) warming up$`, top, noRest}, shares: `a2.* returns?, and (is|are) due less than the weight\.`},
	{name: "an analyzer is slow", settings: []string{"PER_ANALYZER_QUEUE_SIZE=50", "JOURNAL=disk", "MAX_FAILURES=1000", "SENDER_TIMEOUT_MS=60000"}, load: func(w *harness, _ *started) {
		usual(w)
		w.behave(slow, 0)
	}, verdict: `^a1 is full: more comes than it delivers\. What to do`, answers: [4]string{nothing, `^Nobody 3 of 3 analyzers take packets; a1 is full`, top, `^((?!the journal is full).)*$`}, shares: `^a1 is full: each gets what it has room for, not its weight, so Off by is not measured\.$`, router: `^by room, not by weight$`},
	{name: "an analyzer is drained", load: func(w *harness, _ *started) {
		usual(w)
		w.behave(analyzertest.Behaviour{Hang: true}, 0)
		w.eventually("/v1/analyzers/a1", `"in_flight":{"packets":`)
		w.api("PATCH", "/v1/analyzers/a1", `{"state":"drain","deadline":"10m","reason":"kernel"}`)
	}, verdict: `.`, answers: [4]string{nothing, `^a1 an operator (drains|drained) it$`, `.`, `.`}, shares: `^a1 is out: `},
	{name: "the backlog grows", picture: "backlog", settings: []string{"JOURNAL=disk", "PER_ANALYZER_QUEUE_SIZE=50", "MAX_FAILURES=1000", "SENDER_TIMEOUT_MS=60000"}, load: func(w *harness, _ *started) {
		usual(w)
		w.behave(slow, 0, 1, 2)
	}, verdict: `^(a1, a2, a3 are full: more comes than they deliver|[\d,]+ messages wait, the oldest for )`, answers: [4]string{nothing, `^Nobody 3 of 3 `, top + `; has \d+ % of what waits$`, `^Not yet: it grows [\d,]+ messages, the oldest .* old; [\d,]+ messages/s more in than out`}, router: `^by room, not by weight$`},
	{name: "the backlog shrinks", settings: []string{"JOURNAL=disk", "MAX_FAILURES=1000", "SENDER_TIMEOUT_MS=60000"}, load: func(w *harness, _ *started) {
		stop := w.emit("batch-7", 400, "1-100")
		w.behave(slow, 0, 1, 2)
		w.matches("/v1/status", `"queued":\{"packets":[5-9]\d{3}`)
		stop()
	}, verdict: `.`, answers: [4]string{nothing, `^Nobody 3 of 3 `, `^batch-7 has \d+ % of what waits$`, `^In about \d+ (min|s) .* old; [\d,]+ messages/s more out than in$`}},
	{name: "it is full", settings: []string{"INGEST_BUFFER_SIZE=200", "PER_ANALYZER_QUEUE_SIZE=50", "MAX_FAILURES=1000", "SENDER_TIMEOUT_MS=60000"}, load: func(w *harness, _ *started) {
		usual(w)
		w.behave(slow, 0, 1, 2)
	}, verdict: `^[\d.,]+ packets/s are refused: overloaded\. Emitters that try again lose nothing\. What to do`, answers: [4]string{refused, `^Nobody 3 of 3 `, `^(batch-7|web-1) .*has \d+ % of what waits; some refused lately: overloaded`, `^(Not yet|In about)`}},
	{name: "dead letters", load: func(w *harness, _ *started) {
		w.emit("web-1", 40, "1-100")
		w.behave(analyzertest.Behaviour{Status: 400}, 0, 1, 2)
	}, verdict: `^Analyzers refuse [\d.]+ packets/s for good; they are kept as dead letters\. What to do`, answers: [4]string{`^Nothing that was accepted since the start: 0 messages unaccounted, [\d,]+ dead letters? kept$`, nobody, `^web-1 sends about [\d,.]+ messages/s, 100 % of all$`, `^There is none nothing waits$`}},
	{name: "an emitter over its limit", settings: []string{"RATE_LIMIT=3000"}, load: func(w *harness, _ *started) { usual(w) },
		verdict: `^All is well: nothing that was accepted is lost`, answers: [4]string{refused, nobody, `^(batch-7 sends .*; some|web-1 sends .*; some of .batch-7.) refused lately: rate limited$`, noRest}},
	{name: "no analyzers", picture: "no-analyzers", router: "^no analyzer$", settings: []string{"ANALYZERS=lease+http://analyzers=1"}, load: func(w *harness, _ *started) { usual(w) },
		verdict: `^There is no analyzer: nothing is accepted until there is one\.`, answers: [4]string{refused, `^There is no analyzer `, `.`, `.`}},
	{name: "no analyzer answers", router: "^no analyzer$", settings: []string{"JOURNAL=disk"}, load: func(w *harness, _ *started) {
		usual(w)
		w.behave(analyzertest.Behaviour{Refuse: true}, 0, 1, 2)
	}, verdict: `^No analyzer is healthy \(connection refused\): packets are stored until one is\. What to do`, answers: [4]string{nothing, `^a1, a2, a3 their breakers are open`, `^(batch-7|web-1) `, `^Not yet: it grows [\d,]+ messages, the oldest \d\d s old; [\d,]+ messages/s more in than out; the journal is full in about \d+ h`}},
	{name: "the disk is full", full: true, picture: "disk-full", settings: []string{"JOURNAL=disk", "JOURNAL_MAX_BYTES=8388608", "MAX_BODY_BYTES=65536"}, load: func(w *harness, _ *started) { usual(w) },
		verdict: `^[\d.,]+ packets/s are refused, and none is accepted: the journal cannot be written: only [\d.]+ MiB are free at .*: a new segment needs 0\.50 MiB, and 0\.50 MiB in reserve\. Emitters that try again lose nothing\. What to do about JournalUnwritable$`,
		answers: [4]string{refused, nobody, `^(Not known packets are refused before it is read whose they are|(batch-7|web-1) some refused lately: journal unwritable)$`, noRest}},
	{name: "it stops", late: true, settings: []string{"JOURNAL=disk", "SHUTDOWN_TIMEOUT_SEC=60", "DRAIN_SEC=15", "MAX_FAILURES=1000", "SENDER_TIMEOUT_MS=60000"}, load: func(w *harness, d *started) {
		usual(w)
		w.behave(analyzertest.Behaviour{Hang: true}, 0, 1, 2)
		w.matches("/v1/status", `"in_flight":\{"packets":[1-9]`)
		_ = d.command.Process.Signal(syscall.SIGTERM)
	}, verdict: `^The distributor stops: it refuses new packets and delivers the [\d,]+ packets that it holds\.`, answers: [4]string{some, `^Nobody`, `.`, `^Not yet: nothing is delivered [\d,]+ messages, the oldest .* old$`}},
}

// In each situation the first screen has the four answers.
func TestSituations(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			parallel(t)
			w := &harness{TB: t}
			list := ""
			for i, weight := range weights {
				w.analyzers[i] = analyzertest.New(t)
				list += fmt.Sprintf("  - {id: a%d, url: '%s', weight: %g}\n", i+1, w.analyzers[i].URL(), weight)
			}
			command := "distributor"
			if !strings.Contains(strings.Join(s.settings, "\n"), "ANALYZERS=") {
				w.file = filepath.Join(t.TempDir(), "logstreamer.yaml")
				w.must(os.WriteFile(w.file, []byte("analyzers:\n"+list), 0o600))
				command += " -config " + w.file
			}
			data := t.TempDir()
			if s.full {
				data = smallDisk(t)
			}
			d := start(t, command, append([]string{"LISTEN_ADDR=127.0.0.1", "PORT=0", "METRICS_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "HEALTH_CHECK_INTERVAL_SEC=0.5", "DATA_DIR=" + data}, s.settings...)...)
			w.ingest = d.address(`msg="distributor serves".* ingest=(\S+)`)
			w.addr = d.address(`msg="the admin API is served".* address=(\S+)`)
			t.Cleanup(w.stop)
			b := open(t, w, 1280, "light", "")
			if s.load != nil {
				s.load(w, d)
			}
			if s.full {
				fill(w, filepath.Join(data, "ballast"))
			}
			b.says(s)
			if s.late {
				open(t, w, 360, "dark", "").says(s)
			}
		})
	}
}

// smallDisk returns a data directory on a separate disk.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "logs") // the page shows it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) }) // empty after the disk is unmounted
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no disk can be filled without a tmpfs: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", dir).CombinedOutput(); err != nil { // the distributor may still run
			t.Errorf("%v: %s", err, out)
		}
	})
	return dir
}

// fill grows a file until packets are refused: the journal first uses the space that it has
// reserved.
func fill(w *harness, path string) {
	w.Helper()
	file, err := os.Create(path)
	w.must(err)
	w.Cleanup(func() { _ = file.Close() }) // of a disk that is unmounted
	for !strings.Contains(w.api("GET", "/v1/refusals", ""), `"journal_unwritable"`) {
		if _, err = file.Write(make([]byte, 64<<10)); err != nil && !errors.Is(err, syscall.ENOSPC) {
			w.Fatal(err)
		}
	}
}

// says waits until the banner and the four answers match a situation at one moment.
func (b *tab) says(s situation) {
	b.Helper()
	all := append([]string{s.verdict}, s.answers[:]...)
	for i, pattern := range all {
		all[i] = quoted(pattern)
	}
	b.until(fmt.Sprintf("(() => { const said = [document.querySelector('.verdict > :last-child'), ...document.querySelectorAll('.answers dd')].map(e => e.innerText.replace(/\\s+/g, ' ')); globalThis.said = said; return [%s].every((p, i) => new RegExp(p).test(said[i])); })()", strings.Join(all, ", ")))
	for selector, pattern := range map[string]string{"a[href='#/packet'] .sub": s.router, "section:has(> .analyzers) > p": s.shares} {
		b.until(fmt.Sprintf("new RegExp(%s).test(document.querySelector(%s)?.textContent.replace(/\\s+/g, ' '))", quoted(pattern), quoted(selector)))
	}
	if lacking := value[[]string](b, "[...document.querySelectorAll('.banner:is(.bad, .warn) .verdict > :last-child, .warnings li')].filter(e => !e.querySelector('a[href^=\"#/runbook/\"]')).map(e => e.innerText)"); len(lacking) > 0 {
		b.Errorf("warnings without a recipe: %q", lacking)
	}
	b.Logf("%s: %s", s.name, value[string](b, "globalThis.said.join(' | ')"))
	if s.picture != "" {
		if *update {
			b.snapshots(20) // for charts with something to see
		}
		b.picture(s.picture)
	}
	b.looks(s.name)
}

// looks writes screenshots, in three widths, light and dark, with -looks.
func (b *tab) looks(name string) {
	b.Helper()
	if *looks == "" {
		return
	}
	for _, width := range []int64{1920, 1280, 360} {
		for _, scheme := range []string{"light", "dark"} {
			b.look(width, scheme)
			b.snapshots(1)
			b.shot(fmt.Sprintf("%s %d %s", name, width, scheme))
		}
	}
}

// shot writes a screenshot, with -looks.
func (b *tab) shot(name string) {
	b.Helper()
	if *looks == "" {
		return
	}
	b.must(os.MkdirAll(*looks, 0o755))
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	b.must(err)
	b.must(os.WriteFile(filepath.Join(*looks, name+".png"), shot, 0o644))
}

package browser

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// noteOpening records the requests of scripts, and what the page has when it first shows an
// analyzer.
const noteOpening = `globalThis.asked = [];
const fetchNoted = globalThis.fetch;
globalThis.fetch = (path, options) => {
	asked.push(path);
	return fetchNoted(path, options);
};
new MutationObserver((_, observer) => {
	if (!document.querySelector('a.row')) return;
	observer.disconnect();
	const number = selector => document.querySelectorAll(selector).length;
	globalThis.first = {
		Asked: [...asked], Verdict: document.querySelector('.verdict').innerText, Where: document.querySelector('.where').textContent,
		Rows: number('a.row'), Menus: number('.menu'), MenuButtons: number('.menu button'), Charts: number('.chart'), Settings: number('#settings-title'),
	};
}).observe(document, {childList: true, subtree: true})`

// before adds a script that runs before those of each page.
func (b *tab) before(script string) {
	b.Helper()
	_, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	b.must(err)
}

// A page is of use after one request of the API, the stream, and a draw of what is needed for that:
// what needs further requests is drawn after it, below the rest, and the actions of a menu when it
// opens.
func TestOpening(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.emit("web-1", 40, "1-100")
	w.eventually("/v1/history", `"times":[1`)
	w.matches("/v1/status", `"delivered":\{"packets":[1-9]`)
	b := openTab(t, w, 1280, "light")
	b.before(noteOpening)
	b.navigate("")
	b.until("globalThis.first")
	type opening struct {
		Asked                                      []string
		Verdict, Where                             string
		Rows, Menus, MenuButtons, Charts, Settings int
	}
	first := value[opening](b, "first")
	if !slices.Equal(first.Asked, []string{"/v1/stream?overview=true"}) {
		t.Errorf("a page asks for %q before it is of use", first.Asked)
	}
	if first.Rows != len(weights) || first.Menus != len(weights) || first.MenuButtons+first.Charts+first.Settings != 0 {
		t.Errorf("the first draw has %+v", first)
	}
	b.until("document.querySelectorAll('.chart .line').length === 5 && document.querySelector('#settings-title')")
	b.until("[...document.querySelectorAll('section button')].some(e => /^All [1-9]/.test(e.textContent))")
	if where := value[string](b, "document.querySelector('.where').textContent.replace(/up [^·]*/, '')"); where != value[string](b, "first.Where.replace(/up [^·]*/, '')") {
		t.Errorf("the header was %q and is %q", first.Where, where)
	}
	b.click(".analyzers tbody tr:nth-child(1)", "Change…")
	b.until("document.querySelectorAll('.menu button').length > 5 && document.querySelectorAll('.menu[open]').length === 1")
}

// Nothing moves when the page has drawn the rest: it is below.
func TestNothingMovesAtOpening(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.emit("web-1", 40, "1-100")
	w.eventually("/v1/history", `"times":[1`)
	for _, width := range []int64{1280, 360} {
		b := openTab(t, w, width, "dark")
		// The page is not drawn before it has data, however slow the machine. A text that is aligned to
		// the right begins elsewhere when it gets longer, at the same height.
		b.before(`const setTimeoutOf = setTimeout;
			globalThis.setTimeout = (f, ms) => setTimeoutOf(f, ms === 500 ? 1e9 : ms);
			globalThis.moved = [];
			const note = s => s.previousRect.top !== s.currentRect.top && moved.push(s.node?.nodeName + ' ' + JSON.stringify(s));
			new PerformanceObserver(list => list.getEntries().forEach(e => e.sources.forEach(note))).observe({type: 'layout-shift', buffered: true})`)
		b.navigate("")
		b.until("document.querySelectorAll('.chart .line').length === 5 && document.querySelector('#settings-title')")
		b.snapshots(3)
		if moved := value[[]string](b, "moved"); len(moved) > 0 {
			t.Errorf("%d px: %q", width, moved)
		}
	}
}

// A tab that is opened in the background has no stream until it is seen.
func TestTabInTheBackground(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := openTab(t, w, 1280, "light")
	b.before("globalThis.away = true; Object.defineProperty(document, 'hidden', {get: () => globalThis.away})")
	b.navigate("")
	b.shows("Paused while the tab was hidden.")
	if value[bool](b, "'opened' in globalThis") {
		t.Error("a tab that was never seen has requested a stream")
	}
	b.run("globalThis.away = false; document.dispatchEvent(new Event('visibilitychange'))")
	b.shows("Live, each second.")
	b.shows("3 of 3 analyzers would take packets.")
}

// The page says that traffic has ended in its sentence alone, where nothing moves: the command that
// sends a packet is for a distributor that never had any.
func TestTrafficEnds(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	stop := w.emit("web-1", 40, "1-100")
	b := open(t, w, 1280, "light", "")
	b.shows("All is well")
	stop()
	w.load.Wait()
	b.until("document.querySelectorAll('.number b')[0].textContent === '0'")
	value[bool](b, `(async () => {
		const {receive, state} = (await import('/console/console.js')).modules['store.js'];
		for (let i = 0; i < 60; i++) receive({...structuredClone(state.snapshot), time: state.snapshot.time + 1000});
		return true;
	})()`)
	b.shows("Ready, and no traffic")
	b.lacks("This sends one")
}

// replaceFirstStream makes the first stream of a page one without a snapshot.
const replaceFirstStream = `const fetchReal = globalThis.fetch;
globalThis.fetch = (path, options) => {
	globalThis.fetch = fetchReal;
	return Promise.resolve(new Response(new ReadableStream({start: c => {
		%s
	}})));
};`

// A page whose stream ends before the first snapshot connects again.
func TestStreamEndsBeforeFirstSnapshot(t *testing.T) {
	parallel(t)
	b := openTab(t, newHarness(t, ""), 1280, "light")
	b.before(fmt.Sprintf(replaceFirstStream, "c.close()"))
	b.navigate("")
	b.shows("Live, each second.")
	b.shows("3 of 3 analyzers would take packets.")
}

// A page that is hidden before the first snapshot says so.
func TestHiddenBeforeFirstSnapshot(t *testing.T) {
	parallel(t)
	b := openTab(t, newHarness(t, ""), 1280, "light")
	b.before(fmt.Sprintf(replaceFirstStream, "options.signal.addEventListener('abort', () => c.error(options.signal.reason))"))
	b.navigate("")
	b.shows("Live, each second.")
	b.run("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true}); document.dispatchEvent(new Event('visibilitychange'))")
	b.shows("Paused while the tab was hidden.")
}

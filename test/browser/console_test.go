package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	closeBrowser()
	removeProgram()
	os.Exit(code)
}

// The console shows each state of a distributor, and what an operator needs to know in it.
func TestStates(t *testing.T) {
	parallel(t)
	w := newHarness(t, "ingest_buffer_size: 400\nper_analyzer_queue_size: 100\n")
	b := open(t, w, 1920, "light", "")
	showsIdle(b, w)
	w.emit("web-1", 40, "1-100")
	stopPress := w.emit("batch-7", 160, "1-100")
	showsTraffic(b)
	showsAnalyzerOut(b, w)
	showsOverload(b, w)
	stopPress()
	showsDrain(b, w)
}

func showsIdle(b *tab, w *harness) {
	b.Helper()
	b.shows("Ready, and no traffic: 3 of 3 analyzers would take packets.")
	b.shows("curl http://" + w.ingest + "/ingest")
	b.until("[...document.querySelectorAll('.wire')].every(w => w.getAttribute('stroke-width') === '1')") // nothing flows
	b.shows("Live, each second.")
	if *update {
		b.snapshots(3)
	}
	b.picture("idle")
}

func showsTraffic(b *tab) {
	b.Helper()
	b.shows("All is well: nothing is lost, 3 of 3 analyzers take packets.")
	b.shows("0 messages unaccounted")
	b.lacks("No traffic")
	b.until("[...document.querySelectorAll('.wire')].every(w => w.getAttribute('stroke-width') > 1)")
	if *update {
		b.snapshots(45) // for charts with something to see
	}
	b.picture("busy")
	focusIsKept(b)
	isSilent(b)
	b.accessible("busy, light, 1920 px")
	b.look(1280, "dark")
	b.picture("busy-dark")
	b.look(360, "dark")
	b.accessible("busy, dark, 360 px")
	if split := value[[]string](b, "document.querySelector('main').innerText.match(/\\d (packet|message|setting|analyzer|%|ms|s|min)\\S*/g) ?? []"); len(split) > 0 {
		b.Errorf("a number and its unit may be on two lines: %q", split)
	}
	b.picture("busy-narrow")
	b.look(1280, "light")
}

// showsAnalyzerOut makes one analyzer fail, and then recover.
func showsAnalyzerOut(b *tab, w *harness) {
	b.Helper()
	w.analyzers[1].Behave(analyzertest.Behaviour{Refuse: true})
	b.shows("a2 is out: its breaker is open (connection refused).")
	b.shows("The others take the share; nothing is lost by that.")
	if *update {
		b.snapshots(12)
	}
	b.picture("analyzer-out")
	b.look(1280, "light")
	b.fits("analyzer out, 1280 px")
	b.visit("#/analyzer/a2")
	b.shows("out since then")
	b.look(1280, "light")
	b.picture("analyzer")
	b.look(360, "light")
	b.accessible("analyzer, light, 360 px")
	b.look(1280, "light")
	b.visit("#/runbook/AnalyzerDown")
	b.shows("consecutive probes or packets failed")
	b.visit("#/")
	w.analyzers[1].Behave(analyzertest.Behaviour{})
	b.shows("All is well")
}

// showsOverload makes all analyzers slower than the emitters.
func showsOverload(b *tab, w *harness) {
	b.Helper()
	for _, a := range w.analyzers {
		a.Behave(analyzertest.Behaviour{Service: 30 * time.Millisecond, Workers: 1})
	}
	b.shows("packets/s are refused: overloaded")
	b.until("document.querySelector('.banner [role=status]').textContent.startsWith('packets/s are refused')") // without the number, which changes each second
	b.until("document.querySelector('.answers a')?.textContent === 'batch-7'")                                 // the emitter with the highest rate
	b.until("/Not yet|In about/.test(document.querySelector('.answers > :nth-child(4)').textContent)")
	b.look(1280, "dark")
	b.picture("overloaded")
	b.accessible("overloaded, dark, 1280 px")
	b.shows("Emitter, refused lately")
	b.visit("#/emitter/batch-7")
	b.until("/overloaded/.test(document.querySelector('.page table')?.innerText)")
	b.look(1280, "light")
	b.accessible("emitter, light, 1280 px")
	b.picture("emitter")
	b.visit("#/")
}

func showsDrain(b *tab, w *harness) {
	b.Helper()
	w.analyzers[0].Behave(analyzertest.Behaviour{Service: 400 * time.Millisecond, Workers: 1})
	w.api("PATCH", "/v1/analyzers/a1", `{"state":"drain","deadline":"1m"}`)
	b.shows("By an operator: a1")
	b.until("/a1 +(draining|drained)/.test(document.querySelector('.analyzers tbody tr:nth-child(1)').innerText.replace(/\\s+/g, ' '))")
	b.look(1280, "light")
	if *update {
		b.snapshots(8) // for rates of the time after the press
		b.run("document.activeElement.blur(); scrollTo(0, 0)")
	}
	b.picture("draining")
}

// focusIsKept checks that updates remove neither focus nor selection.
func focusIsKept(b *tab) {
	b.Helper()
	b.run("document.querySelector('a.row[href$=a2]').focus(); globalThis.focused = document.activeElement")
	b.snapshots(2)
	if !value[bool](b, "document.activeElement === globalThis.focused && focused.isConnected") {
		b.Error("an update took the focus")
	}
}

// isSilent checks that live regions for screen readers change only with the state, not with the
// values of each second.
func isSilent(b *tab) {
	b.Helper()
	b.run(`globalThis.spoken = [];
		for (const live of document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log], [role=timer], [role=marquee], output'))
			new MutationObserver(() => spoken.push(live.textContent)).observe(live, {subtree: true, childList: true, characterData: true})`)
	b.snapshots(3)
	if spoken := value[[]string](b, "spoken"); len(spoken) > 0 {
		b.Errorf("screen readers are told of no change of the state: %q", spoken)
	}
}

// An action shows its dry run, and is sent for the revision of the dry run: a change by another
// operator in between is shown, and nothing is applied until the new dry run was shown.
func TestActions(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.emit("web-1", 100, "1-100")
	b := open(t, w, 1280, "light", "")
	b.click(".analyzers tbody tr:nth-child(1)", "Change…")
	b.click(".menu[open]", "Weight…")
	b.fill("weight", "0.1")
	b.shows("analyzers/a1/weight: 0.5 → 0.1")
	b.shows("No analyzer will be further off its share than")
	b.until("document.querySelector('dialog td b').textContent === '16.7\\u00a0%'")
	b.accessible("dialog")
	w.api("PATCH", "/v1/analyzers/a3", `{"weight":0.4}`)
	b.click("dialog", "Change the weight")
	b.shows("The configuration was changed meanwhile, and nothing was applied.")
	b.shows("analyzers/a3/weight: 0.2 → 0.4")
	b.until("document.querySelector('dialog td b').textContent === '12.5\\u00a0%'")
	b.picture("changed-meanwhile")
	if !strings.Contains(w.api("GET", "/v1/analyzers/a1", ""), `"weight":0.5`) {
		t.Error("the stale change was applied")
	}
	b.click("dialog", "Change the weight")
	b.until("!document.querySelector('dialog')")
	if !strings.Contains(w.api("GET", "/v1/analyzers/a1", ""), `"weight":0.1`) {
		t.Error("the change was not applied")
	}
	b.shows("analyzer changed analyzers/a1/weight: 0.5 → 0.1 by local")

	b.click(".analyzers tbody tr:nth-child(2)", "Change…")
	b.click(".menu[open]", "Drain…")
	b.fill("reason", "<b>kernel</b>")
	b.click("dialog", "Drain")
	b.until("!document.querySelector('dialog')")
	b.shows("drained")
	b.shows("“<b>kernel</b>”")

	b.click(".analyzers tbody tr:nth-child(3)", "Change…")
	b.click(".menu[open]", "Remove…")
	b.shows("to confirm")
	b.fill("typed", "a")
	b.until("document.querySelector('dialog .primary').disabled && document.querySelector('dialog table')")
	b.fill("typed", "a3")
	b.click("dialog", "Remove")
	b.until("!document.querySelector('dialog') && !document.querySelector('a.row[href$=a3]')")

	setting(b, w)
}

// setting changes a setting, which is then marked with its expiry, and reverts it.
func setting(b *tab, w *harness) {
	b.Helper()
	b.run("[...document.querySelectorAll('button')].find(e => /^All \\d+/.test(e.textContent)).click()")
	b.click("tr:has([aria-label='Change rate_limit'])", "Change…")
	b.fill("value", "-1")
	b.until("document.querySelector('dialog .tinted.bad')")
	b.fill("value", "5000")
	b.fill("ttl", "1h")
	b.click("dialog", "Change")
	b.until("!document.querySelector('dialog')")
	b.until("/override, until \\d\\d:\\d\\d/.test(document.querySelector('.settings').innerText)")
	b.shows("settings/rate_limit: no limit → 5,000 messages/s by local")
	if *update {
		b.click("section:has(.settings)", "Only overrides")
		b.run("document.querySelector('.settings').scrollIntoView({block: 'end'})")
		b.picture("overrides")
		b.run("[...document.querySelectorAll('button')].find(e => /^All \\d+/.test(e.textContent)).click()")
	}
	if !strings.Contains(w.api("GET", "/v1/overrides", ""), `"settings/rate_limit"`) {
		b.Error("the setting was not changed")
	}
	b.click("tr:has([aria-label='Revert rate_limit'])", "Revert…")
	b.click("dialog", "Revert")
	b.until("!document.querySelector('dialog')")
	if strings.Contains(w.api("GET", "/v1/overrides", ""), `"settings/rate_limit"`) {
		b.Error("the setting was not reverted")
	}
}

// The page reports that it lost its distributor, has no controls meanwhile, and reconnects.
func TestRestart(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.emit("web-1", 50, "1-100")
	b := open(t, w, 1280, "light", "")
	b.shows("All is well")
	b.shows("Change…")
	b.until("document.querySelectorAll('[aria-labelledby=shares] .key path').length === 3") // a chart needs two snapshots
	if *update {
		b.snapshots(10)
	}
	w.stop()
	b.shows("Disconnected, last seen ")
	b.until("!document.querySelector('.menu')")
	b.shows("Not known now. At ")
	b.until("getComputedStyle(document.querySelector('main > *')).filter === 'grayscale(1)'")
	b.until("new Set([...document.querySelectorAll('[aria-labelledby=shares] .key path')].map(p => p.getAttribute('stroke-dasharray'))).size === 3") // not by their colours alone
	b.picture("disconnected")
	w.start()
	b.shows("The distributor was restarted")
	b.shows("Live, each second.")
	b.shows("Nothing since the restart")
	b.shows("since the restart only: 0 messages unaccounted")
	if *update {
		b.snapshots(3)
	}
	b.picture("restarted")
	b.shows("Change…")
}

// withTokens returns settings with the tokens "viewer" (read) and "operator" (operate).
func withTokens(t *testing.T) string {
	t.Helper()
	text := ""
	for token, role := range map[string]string{"viewer": "read", "operator": "operate"} {
		sum := sha256.Sum256([]byte(token))
		text += fmt.Sprintf("%s-name %s sha256:%s\n", token, role, hex.EncodeToString(sum[:]))
	}
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "admin_tokens_file: " + path + "\n"
}

func logIn(b *tab, token string) {
	b.Helper()
	b.until("document.querySelector('[name=token]')")
	b.fill("token", token)
	b.click(".login", "Log in")
}

// The page asks for a token. With the role read it says so, and has no controls. A session that was
// ended elsewhere ends in the page.
func TestSession(t *testing.T) {
	parallel(t)
	w := newHarness(t, withTokens(t))
	w.emit("web-1", 50, "1-100")
	b := open(t, w, 1280, "light", "")
	b.shows("This distributor needs a token.")
	b.accessible("login")
	logIn(b, "wrong")
	b.shows("the token is not valid")
	logIn(b, "viewer")
	b.shows("There are no controls: viewer-name has the role read.")
	b.shows("All is well")
	if *update {
		b.snapshots(5)
	}
	b.picture("read-only")
	if value[bool](b, "!!document.querySelector('.menu, .settings .menus button') || document.body.innerText.includes('Add…')") {
		t.Error("there are controls")
	}
	for _, page := range []string{"#/analyzer/a1", "#/emitter/web-1", "#/dead-letters"} {
		b.visit(page)
		b.until("document.querySelector('.page')")
		b.shows("There are no controls: viewer-name has the role read.")
		if value[bool](b, "!!document.querySelector('.page button:not(form.inline > button)')") {
			t.Errorf("%s: there are controls", page)
		}
	}
	b.run("fetch('/v1/session', {method: 'DELETE', headers: {'Content-Type': 'application/json'}})")
	b.shows("The session has ended.")
	b.until("document.activeElement.name === 'token'")
	b.picture("session-ended")
	b.visit("#/")
	logIn(b, "operator")
	b.shows("operator-name: role operate")
	b.shows("Change…")
	b.click("header", "Log out")
	b.shows("The session has ended.")
}

// Every action is possible with the keyboard alone.
func TestKeyboard(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := open(t, w, 1280, "dark", "")
	b.until("document.querySelectorAll('a.row').length === 3")
	press := func(keys string) { b.do(chromedp.KeyEvent(keys)) }
	press("j")
	press("j")
	b.until("document.activeElement.textContent === 'a2'")
	press("k")
	b.until("document.activeElement.textContent === 'a1'")
	press(kb.Enter)
	b.until("document.activeElement.id === 'page-title' && document.activeElement.textContent === 'a1'")
	b.until("[...document.querySelectorAll('button')].some(b => b.textContent === 'Weight…')")
	press(kb.Tab)
	b.until("document.activeElement.textContent === 'Weight…'")
	press(kb.Enter) // the first action: its weight
	b.until("document.querySelector('dialog[open]')?.contains(document.activeElement)")
	b.until("document.activeElement.name === 'weight'")
	press(kb.Escape)
	b.until("!document.querySelector('dialog')")
	press(kb.Escape)
	b.until("document.querySelector('#filter')")
	press("/")
	b.until("document.activeElement.id === 'filter'")
	b.run("const f = document.activeElement; f.value = ''; f.dispatchEvent(new Event('input', {bubbles: true}))") // the protocol types the key character, too
	press("a3")
	b.until("document.querySelectorAll('a.row').length === 1")
	press(kb.Escape)
	press("?")
	b.shows("filter the analyzers")
	b.accessible("keys")
}

// hostile are texts that a page must show as texts.
var hostile = []string{
	`<img src=x onerror="xss=1">`, `"><script>xss=1</script>`, `'--><svg/onload=xss=1>`, `javascript:xss=1`, `{{constructor.constructor("xss=1")()}}`,
	`<iframe srcdoc="<script>parent.xss=1</script>">`, "\u202e\u0000<b>\u2028", `</title><style>*{display:none}</style>`, `%3Cscript%3E/..//#`,
}

// Texts from emitters are shown as text on every page.
func TestHostileTexts(t *testing.T) {
	parallel(t)
	w := newHarness(t, "dispatch: paused\n")
	for _, text := range hostile {
		w.send(text, text, text)
	}
	b := open(t, w, 1280, "light", "")
	for _, text := range hostile {
		b.until("[...document.querySelectorAll('#backlog a.id')].some(a => a.textContent === " + quoted(text) + ")")
	}
	b.textsAreTexts("backlog")
	for _, text := range hostile {
		b.run("[...document.querySelectorAll('#backlog a.id')].find(a => a.textContent === " + quoted(text) + ").click()")
		b.until("document.querySelector('h1 .id')?.textContent === " + quoted(text))
		b.until(pageText + ".includes('No limit') && " + pageText + ".includes('1 message in 1 packet wait')")
		b.textsAreTexts("emitter")
		b.visit("#/")
		b.until("document.querySelector('#backlog a.id')")
	}
	b.visit("#/tap/accepted")
	b.until("document.querySelector('[name=bodies]')")
	b.run("document.querySelector('[name=bodies]').checked = true")
	b.click(".page form", "Begin")
	b.shows("Waiting for packets")
	w.send(hostile[0], hostile[1]+" 2", hostile[2])
	b.shows(hostile[0])
	b.shows("onload=xss=1")
	b.textsAreTexts("tap")
	b.visit("#/packet")
	b.until("document.querySelector('[name=packet]')")
	b.fill("emitter", hostile[0])
	b.fill("packet", hostile[1])
	b.click(".page form", "Explain")
	b.until("document.querySelector('.tinted.info')")
	b.textsAreTexts("packet")
}

// Without data the page says so, and shows data as soon as there is some.
func TestNoData(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := openTab(t, w, 1280, "light")
	block := func(patterns ...*network.BlockPattern) {
		b.Helper()
		_, err := chromedp.Call(b.ctx, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: patterns})
		b.must(err)
	}
	block(&network.BlockPattern{URLPattern: b.url + "/v1/stream*", Block: true})
	b.navigate("")
	b.shows("No data yet.")
	b.shows("Disconnected")
	b.until("[...document.querySelectorAll('.answers b')].every(e => e.textContent === 'Not known')")
	b.until("[...document.querySelectorAll('.node .main')].every(e => e.textContent.startsWith('–'))")
	b.until("[...document.querySelectorAll('.node .sub')].every(e => e.textContent === 'no data yet')")
	b.accessible("no data, light, 1280 px")
	b.picture("no-data")
	block()
	b.click("header", "Try now")
	b.shows("3 of 3 analyzers would take packets.")
}

// The stream ends while a tab is hidden, since a browser opens few connections to a host.
func TestHiddenTabHasNoStream(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := open(t, w, 1280, "light", "")
	b.shows("Live, each second.")
	b.run("Object.defineProperty(document, 'hidden', {configurable: true, get: () => globalThis.away}); globalThis.away = true; document.dispatchEvent(new Event('visibilitychange'))")
	b.shows("Paused while the tab was hidden.")
	b.until("globalThis.streams === 0")
	b.run("globalThis.away = false; document.dispatchEvent(new Event('visibilitychange'))")
	b.shows("Live, each second.")
	b.snapshots(1)
}

// The ticks of a chart of packets are whole numbers, so that their labels are true.
func TestTicksOfCountsAreWhole(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := open(t, w, 1280, "light", "#/analyzer/a1")
	b.shows("Packets held")
	b.until("document.querySelector('[aria-labelledby=a-queue] .line')") // the history has come
	value[bool](b, `(async () => {
		const {receive, state} = (await import('/console/console.js')).modules['store.js'];
		const snapshot = structuredClone(state.snapshot);
		snapshot.analyzers.a1.queued_packets = 9;
		receive(snapshot);
		return true;
	})()`)
	b.until("[...document.querySelectorAll('[aria-labelledby=a-queue] .grid + text')].map(e => e.textContent).join(' ') === '0 5'")
}

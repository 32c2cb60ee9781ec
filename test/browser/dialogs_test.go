package browser

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// dialog is an action of the console, and its effect.
type dialog struct {
	name    string
	at      string            // the page
	row     string            // the link that leads to another page, unless it is empty
	in      string            // the part of the page with the button
	button  string            // or, with a menu, the item
	fill    map[string]string // by field
	typed   string            // the text that must be typed to confirm
	preview string            // of the dry run
	shares  bool              // whether the dry run shows shares
	submit  string
	path    string // the resource of the admin API with the effect
	effect  string // not in its response before
}

const (
	first, second, third = ".analyzers tbody tr:nth-child(1)", ".analyzers tbody tr:nth-child(2)", ".analyzers tbody tr:nth-child(3)"
	settingsPart         = "section:has(> .title > #settings-title)"
)

// dialogs are the dialogs that TestActions does not use, in an order in which each is possible.
func dialogs(added string) []dialog {
	return []dialog{
		{name: "maintenance", in: second, button: "Maintenance…", preview: "analyzers/a2/state: ready → maint", shares: true, submit: "Put it in maintenance", path: "/v1/analyzers/a2", effect: `"state":"maint"`},
		{name: "ready", in: second, button: "Ready…", preview: "analyzers/a2/state: maint → ready", shares: true, submit: "Put it back", path: "/v1/analyzers/a2", effect: `"state":"ready"`},
		{name: "open the breaker", in: third, button: "Open breaker…", fill: map[string]string{"ttl": "1h"}, preview: "analyzers/a3/breaker: closed → open", shares: true, submit: "Open breaker", path: "/v1/analyzers/a3", effect: `"breaker":"open"`},
		{name: "close the breaker", in: third, button: "Close breaker…", preview: "analyzers/a3/breaker: open → closed", shares: true, submit: "Close breaker", path: "/v1/analyzers/a3", effect: `"breaker":"closed"`},
		{name: "add", in: "section:has(.analyzers)", button: "Add…", fill: map[string]string{"id": "a4", "url": added, "weight": "3"}, preview: "analyzers/a4", shares: true, submit: "Add", path: "/v1/analyzers", effect: `"id":"a4"`},
		{name: "revert an analyzer", in: "tr:has([aria-label='Revert analyzers/a4'])", button: "Revert…", preview: "analyzers/a4", submit: "Revert", path: "/v1/overrides", effect: `"overrides":[]`},
		{name: "another URL", in: third, button: "URL…", fill: map[string]string{"url": added}, preview: "analyzers/a3/url", shares: true, submit: "Change the URL", path: "/v1/analyzers/a3", effect: quoted(added)},
		{name: "revert all", in: settingsPart, button: "Revert all…", preview: "analyzers/a3/url", submit: "Revert all", path: "/v1/overrides", effect: `"overrides":[]`},
		{name: "reload", in: settingsPart, button: "Reload the file…", preview: "settings/rate_limit: no limit → 77,000 messages/s", submit: "Reload", path: "/v1/settings", effect: `"value":77000,`},
		{name: "pause the intake", in: "tr:has([aria-label='Change intake'])", button: "Change…", fill: map[string]string{"value": "paused"}, preview: "settings/intake: open → paused", submit: "Change", path: "/v1/status", effect: `"intake":"paused"`},
		{name: "open the intake", in: "tr:has([aria-label='Revert intake'])", button: "Revert…", preview: "settings/intake: paused → open", submit: "Revert", path: "/v1/status", effect: `"intake":"open"`},
		{name: "pause the dispatch", in: "tr:has([aria-label='Change dispatch'])", button: "Change…", fill: map[string]string{"value": "paused"}, preview: "settings/dispatch: running → paused", submit: "Change", path: "/v1/status", effect: `"dispatch":"paused"`},
		{name: "run the dispatch", in: "tr:has([aria-label='Revert dispatch'])", button: "Revert…", preview: "settings/dispatch: paused → running", submit: "Revert", path: "/v1/status", effect: `"dispatch":"running"`},
		{name: "limit", at: "#/emitter/web-1", in: ".page", button: "Limit…", fill: map[string]string{"rate": "500"}, preview: "limits/web-1: none → emitter web-1, rate 500 messages/s", submit: "Limit", path: "/v1/limits", effect: `"emitter":"web-1","rate":500`},
		{name: "remove the limit", at: "#/emitter/web-1", in: ".page", button: "Remove the limit…", preview: "limits/web-1: emitter web-1, rate 500 messages/s", submit: "Remove", path: "/v1/limits", effect: `"limits":[]`},
		{name: "replay", at: "#/dead-letters", in: ".page", button: "Replay…", preview: "2 dead letters match.", fill: map[string]string{"rate": "0.001"}, submit: "Replay", path: "/v1/dead-letters/replays", effect: `"matched":2`},
		{name: "cancel the replay", at: "#/dead-letters", in: ".page", button: "Cancel…", submit: "Cancel the replay", path: "/v1/dead-letters/replays", effect: `"state":"canceled"`},
		{name: "replay one", at: "#/dead-letters", in: ".page", row: "letter-2", button: "Replay…", preview: "1 dead letter matches.", submit: "Replay", path: "/v1/dead-letters?emitter=web-2", effect: `"replayed":true`},
		{name: "delete", at: "#/dead-letters", in: ".page", button: "Delete…", typed: "delete", preview: "2 dead letters match.", submit: "Delete", path: "/v1/dead-letters", effect: `"dead_letters":[]`},
	}
}

// Each dialog shows the result of its dry run, which changes nothing; the request after it has the
// effect, and its reason is in the events. The end of each test checks that no request is sent
// without If-Match and a dry run; see sent.
func TestDialogs(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.rejectAll(map[string]string{"letter-1": "malformed", "letter-2": "malformed"})
	w.send("web-1", "letter-1", "refused for good")
	w.send("web-2", "letter-2", "refused for good")
	w.eventually("/v1/dead-letters", `"packet_id":"letter-1"`)
	w.eventually("/v1/dead-letters", `"packet_id":"letter-2"`)
	w.rejectAll(nil)
	b := open(t, w, 360, "dark", "")
	all := `[...document.querySelectorAll('button')].find(e => /^All \d+/.test(e.textContent))`
	for _, d := range dialogs(analyzertest.New(t).URL()) {
		if d.name == "reload" {
			text, err := os.ReadFile(w.file)
			w.must(err)
			w.must(os.WriteFile(w.file, append(text, "rate_limit: 77000\n"...), 0o600))
		}
		b.visit("#/" + strings.TrimPrefix(d.at, "#/"))
		if d.row != "" {
			b.click(d.in, d.row)
		}
		if strings.Contains(d.in, "Change ") { // among all settings
			b.until(all)
			b.run(all + ".click()")
		}
		if strings.Contains(d.in, "tbody") {
			b.click(d.in, "Change…")
			b.click(".menu[open]", d.button)
		} else {
			b.click(d.in, d.button)
		}
		d.use(b, w)
		b.visit("#/keys") // the overview is rendered again
		b.until("document.querySelector('kbd')")
	}
}

// use fills and confirms an open dialog.
func (d dialog) use(b *tab, w *harness) {
	b.Helper()
	b.until("document.querySelector('dialog[open]')")
	for name, text := range d.fill {
		b.fill(name, text)
	}
	reason := "since " + d.name
	b.fill("reason", reason)
	b.until(fmt.Sprintf("document.querySelector('dialog .preview').innerText.replaceAll('\\u00a0', ' ').includes(%s)", quoted(d.preview)))
	if d.shares {
		b.until("document.querySelectorAll('dialog tbody tr').length >= 2")
	}
	if d.typed != "" {
		b.fill("typed", d.typed[1:])
		b.until("document.querySelector('dialog .primary').disabled")
		b.fill("typed", d.typed)
	}
	if d.shares || d.typed != "" { // the two kinds of dialogs
		b.accessible("the dialog of " + d.name + ", dark, 360 px")
	}
	if strings.Contains(w.api("GET", d.path, ""), d.effect) {
		b.Errorf("%s: the dry run was applied", d.name)
	}
	b.click("dialog", d.submit)
	b.until("!document.querySelector('dialog')")
	w.eventually(d.path, d.effect)
	w.eventually("/v1/events", quoted(reason))
}

// The last analyzer is taken out only after a second confirmation.
func TestLastAnalyzer(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.api("DELETE", "/v1/analyzers/a2", "")
	w.api("DELETE", "/v1/analyzers/a3", "")
	b := open(t, w, 1280, "light", "#/analyzer/a1")
	b.click(".page", "Drain…")
	b.shows("Do it although no analyzer is left")
	b.until("document.querySelector('dialog .primary').disabled")
	b.run("document.querySelector('dialog [type=checkbox]').click()")
	b.shows("analyzers/a1/state: ready → drain")
	b.click("dialog", "Drain")
	b.until("!document.querySelector('dialog')")
	w.eventually("/v1/analyzers/a1", `"state":"drain"`)
}

// The response to a dry run of values that were changed meanwhile is ignored.
func TestLateDryRun(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := open(t, w, 1280, "light", "#/analyzer/a1")
	b.run(`const send = globalThis.fetch;
		globalThis.fetch = async (path, options) => {
			const response = await send(path, options);
			if (options?.body?.includes('0.25')) await new Promise(done => globalThis.release = done);
			return response;
		};
		globalThis.shown = [];
		new MutationObserver(() => shown.push(document.querySelector('dialog .changes')?.innerText)).observe(document.body, {subtree: true, childList: true, characterData: true})`)
	b.click(".page", "Weight…")
	b.fill("weight", "0.25")
	b.until("globalThis.release")
	b.fill("weight", "0.75")
	b.run("release()")
	b.shows("analyzers/a1/weight: 0.5 → 0.75")
	b.lacks("further off its share") // not known before the first packet
	if shown := value[[]string](b, "shown.map(String)"); strings.Contains(strings.Join(shown, "\n"), "0.25") {
		t.Errorf("the dry run of another weight was shown: %q", shown)
	}
}

// A dialog that is submitted twice acts once: the second request would have no dry run; see sent.
func TestDoubleSubmit(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := open(t, w, 1280, "light", "#/analyzer/a1")
	b.click(".page", "Weight…")
	b.fill("weight", "0.25")
	b.shows("analyzers/a1/weight: 0.5 → 0.25")
	b.run("const f = document.querySelector('dialog form'); f.requestSubmit(); f.requestSubmit()")
	b.until("!document.querySelector('dialog')")
	w.eventually("/v1/analyzers/a1", `"weight":0.25`)
}

// An action on an analyzer that was removed meanwhile fails with a message, and has no effect. The
// focus returns to its element before the dialog or, if that is gone, to a near one.
func TestActionOnRemovedAnalyzer(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := open(t, w, 1280, "light", "")
	press := func(keys string) { b.do(chromedp.KeyEvent(keys)) }
	begin := func(id string) {
		b.Helper()
		b.until("document.querySelector('a.row[href$=" + id + "]') && document.querySelector('summary[aria-label=\"Change " + id + "\"]')")
		b.run("document.querySelector('a.row[href$=" + id + "]').focus()")
		press(kb.Tab)
		b.until("document.activeElement.ariaLabel === 'Change " + id + "'")
		press(kb.Enter) // opens the menu
		b.until("document.activeElement.parentElement.open")
		press(kb.Tab)
		press(kb.Enter) // the first action: the weight
		b.until("document.activeElement.name === 'weight'")
	}
	begin("a2")
	press(kb.Escape)
	b.until("!document.querySelector('dialog') && document.activeElement.ariaLabel === 'Change a2'")
	begin("a3")
	b.shows("What the analyzers would get")
	w.api("DELETE", "/v1/analyzers/a3", "")
	press(kb.Enter)
	b.shows("The configuration was changed meanwhile, and nothing was applied.")
	b.shows("there is no analyzer with the id")
	b.until("document.querySelector('dialog .primary').disabled")
	press(kb.Escape)
	b.until("!document.querySelector('dialog') && document.activeElement.id === 'filter'")
}

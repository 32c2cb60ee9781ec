package browser

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// dialog is an action of the console, and what becomes of it.
type dialog struct {
	name    string
	at      string            // the page
	in      string            // the part of it with the button
	button  string            // or, with a menu, its item
	fill    map[string]string // by field
	typed   string            // what must be typed to confirm
	preview string            // of the dry run
	shares  bool              // whether the dry run has shares
	submit  string
	path    string // of the admin API, where the effect is
	effect  string // not in its answer before
}

const (
	first, second, third = ".analyzers tbody tr:nth-child(1)", ".analyzers tbody tr:nth-child(2)", ".analyzers tbody tr:nth-child(3)"
	settingsPart         = "section:has(> .title > #settings-title)"
)

// dialogs are those that TestActions lacks, in an order in which each is possible.
func dialogs(added string) []dialog {
	return []dialog{
		{name: "maintenance", in: second, button: "Maintenance…", preview: "analyzers/a2/state: ready → maint", shares: true, submit: "Put it in maintenance", path: "/v1/analyzers/a2", effect: `"state":"maint"`},
		{name: "ready", in: second, button: "Ready…", preview: "analyzers/a2/state: maint → ready", shares: true, submit: "Put it back", path: "/v1/analyzers/a2", effect: `"state":"ready"`},
		{name: "open the breaker", in: third, button: "Open breaker…", fill: map[string]string{"ttl": "1h"}, preview: "analyzers/a3/breaker: closed → open", shares: true, submit: "Open breaker", path: "/v1/analyzers/a3", effect: `"breaker":"open"`},
		{name: "close the breaker", in: third, button: "Close breaker…", preview: "analyzers/a3/breaker: open → closed", shares: true, submit: "Close breaker", path: "/v1/analyzers/a3", effect: `"breaker":"closed"`},
		{name: "add", in: "section:has(.analyzers)", button: "Add…", fill: map[string]string{"id": "a4", "url": added, "weight": "3"}, preview: "analyzers/a4", shares: true, submit: "Add", path: "/v1/analyzers", effect: `"id":"a4"`},
		{name: "revert an analyzer", in: "tr:has([aria-label='Revert analyzers/a4'])", button: "Revert…", preview: "analyzers/a4", submit: "Revert", path: "/v1/overrides", effect: `"overrides":[]`},
		{name: "reload", in: settingsPart, button: "Reload the file…", preview: "settings/rate_limit: 0 → 77000", submit: "Reload", path: "/v1/settings", effect: `"value":77000,`},
		{name: "pause the intake", in: "tr:has([aria-label='Change intake'])", button: "Change…", fill: map[string]string{"value": "paused"}, preview: "settings/intake: open → paused", submit: "Change", path: "/v1/status", effect: `"intake":"paused"`},
		{name: "open the intake", in: "tr:has([aria-label='Revert intake'])", button: "Revert…", preview: "settings/intake: paused → open", submit: "Revert", path: "/v1/status", effect: `"intake":"open"`},
		{name: "pause the dispatch", in: "tr:has([aria-label='Change dispatch'])", button: "Change…", fill: map[string]string{"value": "paused"}, preview: "settings/dispatch: running → paused", submit: "Change", path: "/v1/status", effect: `"dispatch":"paused"`},
		{name: "run the dispatch", in: "tr:has([aria-label='Revert dispatch'])", button: "Revert…", preview: "settings/dispatch: paused → running", submit: "Revert", path: "/v1/status", effect: `"dispatch":"running"`},
		{name: "limit", at: "#/emitter/web-1", in: ".page", button: "Limit…", fill: map[string]string{"rate": "500"}, preview: "limits/web-1: none → emitter web-1, rate 500", submit: "Limit", path: "/v1/limits", effect: `"emitter":"web-1","rate":500`},
		{name: "remove the limit", at: "#/emitter/web-1", in: ".page", button: "Remove the limit…", preview: "limits/web-1: emitter web-1, rate 500", submit: "Remove", path: "/v1/limits", effect: `"limits":[]`},
		{name: "replay", at: "#/dead-letters", in: ".page", button: "Replay…", preview: "1 dead letter matches.", submit: "Replay", path: "/v1/dead-letters", effect: `"replayed":true`},
		{name: "delete", at: "#/dead-letters", in: ".page", button: "Delete…", typed: "delete", preview: "1 dead letter matches.", submit: "Delete", path: "/v1/dead-letters", effect: `"dead_letters":[]`},
	}
}

// Each dialog shows what its dry run answered, which changes nothing; what it then sends has the
// effect, and its reason is in the events. That nothing is sent without If-Match and a dry run
// is checked at the end of each test; see sent.
func TestDialogs(t *testing.T) {
	parallel(t)
	w := newWorld(t, "")
	w.rejectAll(map[string]string{"letter-1": "malformed"})
	w.send("web-1", "letter-1", "refused for good")
	w.eventually("/v1/dead-letters", `"packet_id":"letter-1"`)
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
		b.visit("#/keys") // the overview is drawn anew
		b.until("document.querySelector('kbd')")
	}
}

// use works through an open dialog.
func (d dialog) use(b *tab, w *world) {
	b.Helper()
	for name, text := range d.fill {
		b.fill(name, text)
	}
	reason := "since " + d.name
	b.fill("reason", reason)
	b.until(fmt.Sprintf("document.querySelector('dialog .preview').innerText.includes(%s)", quoted(d.preview)))
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

// The last analyzer is taken out only by whoever says so once more.
func TestLastAnalyzer(t *testing.T) {
	parallel(t)
	w := newWorld(t, "")
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

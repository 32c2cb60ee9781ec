package browser

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// crowd starts servers that answer all requests with 200, and returns their URLs with weights.
func crowd(t *testing.T, n int) string {
	t.Helper()
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	var all []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = server.Serve(listener) }() // ends with the server
		all = append(all, "http://"+listener.Addr().String()+"=1")
	}
	t.Cleanup(func() { _ = server.Close() }) // the test is over
	return strings.Join(all, ",")
}

// A page with very many analyzers shows all of them, within its width, and can be filtered.
func TestManyAnalyzers(t *testing.T) {
	parallel(t)
	for _, n := range []int{50, 500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := &harness{TB: t}
			d := start(t, "distributor", "LISTEN_ADDR=127.0.0.1", "PORT=0", "METRICS_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "HEALTH_CHECK_INTERVAL_SEC=10", "DATA_DIR="+t.TempDir(), "ANALYZERS="+crowd(t, n))
			w.ingest = d.address(`msg="distributor serves".* ingest=(\S+)`)
			w.addr = d.address(`msg="the admin API is served".* address=(\S+)`)
			t.Cleanup(w.stop)
			w.emit("web-1", 200, "1-100")
			b := open(t, w, 1280, "light", "")
			b.shows(fmt.Sprintf("All is well: nothing is lost, %d of %d analyzers take packets.", n, n))
			b.until(fmt.Sprintf("document.querySelectorAll('a.row').length === %d", n))
			b.accessible(fmt.Sprintf("%d analyzers, light, 1280 px", n))
			b.look(360, "dark")
			b.fits(fmt.Sprintf("%d analyzers, 360 px", n))
			b.shows(fmt.Sprintf("%d more", n-7))
			t.Logf("%d analyzers: the page is drawn in %.0f ms", n, value[float64](b, `(async () => {
				const {receive, state} = (await import('/console/console.js')).modules['store.js'];
				const frame = () => new Promise(requestAnimationFrame);
				await frame();
				receive(structuredClone(state.snapshot));
				const begin = performance.now();
				await frame();
				return performance.now() - begin;
			})()`))
		})
	}
}

// Long ids, ids in scripts that run from right to left, and very different weights are shown within
// the page, and a small share differs from none.
func TestUnusualTexts(t *testing.T) {
	parallel(t)
	w := newHarness(t, "dispatch: paused\n")
	long := strings.Repeat("analyzer-", 7)
	w.api("POST", "/v1/analyzers", fmt.Sprintf(`{"id":%q,"url":"http://127.0.0.1:9","weight":1000}`, long))
	w.api("POST", "/v1/analyzers", `{"id":"small","url":"http://127.0.0.1:10","weight":0.001}`)
	const rightToLeft = "\u05e9\u05e8\u05ea-1"
	for i, id := range []string{rightToLeft, strings.Repeat("e", 200), strings.Repeat("\u4e2d", 60)} {
		w.send(id, fmt.Sprint(i), "hello")
	}
	b := open(t, w, 1280, "light", "")
	b.until("document.querySelectorAll('a.row').length === 5")
	b.until("[...document.querySelectorAll('#backlog a.id')].some(a => a.textContent === " + quoted(rightToLeft) + " && getComputedStyle(a).unicodeBidi === 'isolate')")
	for _, width := range []int64{1920, 1280, 640, 360, 320} {
		b.look(width, "light")
		b.fits(fmt.Sprintf("unusual texts, %d px", width))
	}
	b.accessible("unusual texts, light, 320 px")
	b.visit("#/analyzer/small")
	b.shows("0.001, < 0.1 % of all weights")
	b.fits("an analyzer of a small weight, 320 px")
	b.visit("#/analyzer/" + long)
	b.shows("1000, 99.9 % of all weights")
	b.fits("an analyzer with a long id, 320 px")
	b.visit("#/emitter/" + strings.Repeat("e", 200))
	b.shows("1 message in 1 packet wait")
	b.fits("an emitter with a long id, 320 px")
}

// If the browser's clock is wrong, the page says so: its times are the distributor's.
func TestWrongClock(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.emit("web-1", 40, "1-100")
	b := openTab(t, w, 1280, "light")
	_, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: "const rightTime = Date.now; Date.now = () => rightTime() + 3600000"})
	b.must(err)
	b.navigate("")
	b.shows("Times are those of the distributor, where it is ")
	b.shows("All is well")
	b.until("/^web-1/.test(document.querySelectorAll('.answers dd')[2].innerText)")
	w.stop()
	b.shows("Disconnected, last seen ")
	b.lacks("min ago")
}

// A page that is older than the distributor, which was upgraded meanwhile, says so and loads the
// new page.
func TestOutdatedPage(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := open(t, w, 1280, "light", "#/analyzer/a2")
	b.shows("Live, each second.")
	b.lacks("This page is of version")
	w.stop()
	w.version = "1.1"
	w.start()
	b.shows("This page is of version 1.0, the distributor of 1.1.")
	b.accessible("an older page")
	b.click("header", "Load the new page")
	b.until("document.querySelector('h1')?.textContent === 'a2' && !document.body.innerText.includes('This page is of version')")
}

// The browser's back button returns to the page before, and closes a dialog.
func TestBackButton(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	b := open(t, w, 1280, "light", "")
	b.shows("Live, each second.")
	b.visit("#/") // from the same page without a hash
	b.click(".analyzers", "a3")
	b.until("document.activeElement.id === 'page-title'")
	b.click(".page", "Weight…")
	b.until("document.querySelector('dialog[open]')")
	b.run("history.back()")
	b.until("!document.querySelector('dialog') && document.activeElement.matches('a.row[href$=a3]')")
	b.run("history.forward()")
	b.until("document.activeElement.id === 'page-title' && document.activeElement.textContent === 'a3'")
}

// With the preference for reduced motion nothing moves, and with the colours of the system
// everything is still visible: bars, their ticks, and the kinds of states.
func TestPreferences(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.emit("web-1", 40, "1-100")
	b := open(t, w, 1280, "light", "")
	b.shows("All is well")
	for _, feature := range []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}, {Name: "forced-colors", Value: "active"}} {
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{feature}})
		b.must(err)
		b.snapshots(1)
		if n := value[int](b, "document.getAnimations().length"); n > 0 {
			t.Errorf("%s: %d animations", feature.Name, n)
		}
		b.accessible(feature.Name)
	}
	const colour = "(selector => getComputedStyle(document.querySelector(selector)).backgroundColor)"
	if value[bool](b, colour+"('.bar b') === "+colour+"('.bar') || "+colour+"('.bar i') === "+colour+"('.bar')") {
		t.Error("with forced colours a bar is as its background")
	}
	b.shot("forced colors")
}

// An analyzer may have the name of a member of all objects of JavaScript, such as one that chooses its
// id when it registers. The page shows it like the others.
func TestIDsOfMembers(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.emit("web-1", 100, "1-100")
	b := open(t, w, 1280, "light", "")
	b.snapshots(1)
	ids := []string{"__proto__", "constructor"}
	for i, at := range strings.Split(crowd(t, len(ids)), ",") {
		w.api("PUT", "/v1/leases/"+ids[i], fmt.Sprintf(`{"url":%q,"weight":0.5}`, strings.TrimSuffix(at, "=1")))
	}
	for _, id := range ids {
		row := "[...document.querySelectorAll('.analyzers tr')].find(r => r.querySelector('a.row')?.textContent === " + quoted(id) + ")"
		b.until("/[1-9]/.test(" + row + "?.querySelector('.share .fixed').textContent)")
	}
	if got := value[string](b, "JSON.stringify([...Object.keys(Object.prototype), ...Object.keys(Object)])"); got != "[]" {
		t.Errorf("all objects have got the members %s", got)
	}
}

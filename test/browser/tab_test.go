package browser

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// waitTimeout is the maximum wait for an event that must happen.
const waitTimeout = 2 * time.Minute

// browser is the browser of all tests. closeBrowser ends it.
var (
	closeBrowser = func() {}
	browser      = sync.OnceValues(func() (context.Context, error) {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
		alloc, _ := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, _ := chromedp.NewContext(alloc)
		closeBrowser = func() { _ = chromedp.Cancel(ctx) } // the tests are over
		return ctx, chromedp.Do(ctx, chromedp.Navigate("about:blank"))
	})
)

// parallel runs a test in parallel: each test has its own distributor and its own profile of the
// browser, and mostly waits. Pictures are made one by one.
func parallel(t *testing.T) {
	if !*update {
		t.Parallel()
	}
}

// tab is a tab with a page of the console. At the end of the test there must have been no
// request to another host, no error, and no violation of the policy.
type tab struct {
	testing.TB
	ctx   context.Context
	url   string
	close func() // before the end of the test

	mu      sync.Mutex // guards all below
	faults  []string
	dryRuns map[string]bool // by method and path
}

// open opens a page.
func open(t testing.TB, w *harness, width int64, scheme, hash string) *tab {
	t.Helper()
	b := openTab(t, w, width, scheme)
	b.navigate(hash)
	return b
}

// navigate loads a page of the console.
func (b *tab) navigate(hash string) {
	b.Helper()
	b.do(chromedp.Navigate(b.url + "/" + hash))
}

// openTab opens an empty tab.
func openTab(t testing.TB, w *harness, width int64, scheme string) *tab {
	t.Helper()
	parent, err := browser()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skipf("the console is not tested without a browser (Debian's package chromium): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{TB: t, url: "http://" + w.addr, close: cancel, dryRuns: make(map[string]bool)}
	ctx, cancelTimeout := context.WithTimeout(ctx, 2*waitTimeout)
	t.Cleanup(cancelTimeout)
	b.ctx = ctx
	b.do(chromedp.Navigate("about:blank"))
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	b.must(err)
	b.look(width, scheme)
	_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: noteUsable + countStreams})
	b.must(err)
	t.Cleanup(b.check)
	return b
}

// noteUsable sets usable when the page is first usable: at the frame after the one in which its
// banner and its analyzers have values of the distributor, and the analyzers their menus. painted is the time of the first frame
// of any document. The times are in milliseconds since the navigation. seen is when the elements
// were present.
const noteUsable = `new MutationObserver((_, observer) => {
	if (!document.querySelector('.banner:not(.none)') || !document.querySelector('tr:has(a.row) .menu')) return;
	observer.disconnect();
	globalThis.seen = performance.now();
	requestAnimationFrame(() => setTimeout(() => globalThis.usable = performance.now()));
}).observe(document, {childList: true, subtree: true, attributes: true});
addEventListener('DOMContentLoaded', () => requestAnimationFrame(() => setTimeout(() => globalThis.painted = performance.now())))`

// countStreams counts the open streams, and notes when the first one was requested.
const countStreams = `;globalThis.streams = 0;
const fetchAny = globalThis.fetch;
globalThis.fetch = async (path, options) => {
	if (path.startsWith('/v1/stream')) globalThis.opened ??= performance.now();
	const response = await fetchAny(path, options);
	if (response.headers.get('Content-Type')?.startsWith('text/event-stream')) {
		streams++;
		options.signal.addEventListener('abort', () => streams--, {once: true});
	}
	return response;
};`

func (b *tab) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	b.must(chromedp.Do(b.ctx, steps...))
}

// watch records events that must not happen.
func (b *tab) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, "exception: "+e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case *runtime.EventConsoleAPICalled:
		b.faults = append(b.faults, fmt.Sprintf("console: %s", e.Args[0].Value))
	case *log.EventEntryAdded:
		// The browser logs each refused and failed request; the tests expect some.
		if e.Entry.Source != "network" {
			b.faults = append(b.faults, "log: "+e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		if to := e.Request.URL; !strings.HasPrefix(to, b.url+"/") && !strings.HasPrefix(to, "data:") && to != "about:blank" {
			b.faults = append(b.faults, "a request to another host: "+to)
		}
		b.sent(e.Request)
	}
}

// sent records a change that was sent without its dry run, or without a revision. Sessions and
// actions of a demo have neither. Dead letters have no revision, but their number.
func (b *tab) sent(r *network.Request) {
	to, err := url.Parse(r.URL)
	if err != nil || r.Method == http.MethodGet || to.Path == "/v1/session" || strings.HasPrefix(to.Path, "/v1/demo/") {
		return
	}
	change := r.Method + " " + to.Path
	if to.Query().Get("dry_run") == "true" {
		b.dryRuns[change] = true
		return
	}
	if !b.dryRuns[change] && !strings.HasPrefix(to.Path, "/v1/dead-letters/replays/") { // a replay is cancelled without one
		b.faults = append(b.faults, change+" was sent without its dry run")
	}
	delete(b.dryRuns, change)
	if ifMatch, _ := r.Headers["If-Match"].(string); ifMatch == "" && !strings.HasPrefix(to.Path, "/v1/dead-letters/") {
		b.faults = append(b.faults, change+" was sent without If-Match")
	}
}

func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		b.Error(fault)
	}
}

// look sets the width of the window and the colour scheme.
func (b *tab) look(width int64, scheme string) {
	b.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	b.must(err)
	b.do(chromedp.EmulateViewport(width, 1080))
}

// value evaluates an expression, and returns its value, awaited.
func value[T any](b *tab, expression string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *tab) run(script string) {
	b.Helper()
	value[bool](b, "(() => {"+script+"; return true})()")
}

// until waits until an expression is true.
func (b *tab) until(expression string) {
	b.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(waitTimeout)
	for {
		holds, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if holds {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
			b.Fatalf("never: %s (%v)\n%s", expression, err, text)
		}
	}
}

// pageText is the text of the page, in which a number and its unit are kept together.
const pageText = "document.body.innerText.replaceAll('\\u00a0', ' ')"

// shows waits for a text on the page, and lacks for its absence.
func (b *tab) shows(text string) {
	b.Helper()
	b.until(pageText + ".includes(" + quoted(text) + ")")
}

func (b *tab) lacks(text string) {
	b.Helper()
	b.until("!" + pageText + ".includes(" + quoted(text) + ")")
}

func quoted(text string) string {
	q, _ := json.Marshal(text) // never fails
	return string(q)
}

// click waits for the button or link with a text in a part of the page, and clicks it.
func (b *tab) click(in, text string) {
	b.Helper()
	found := fmt.Sprintf("[...document.querySelectorAll(%s)].find(e => e.textContent.trim().startsWith(%s) && !e.disabled)", quoted(in+" :is(button, a, summary)"), quoted(text))
	b.until(found)
	b.run(found + ".click()")
}

// fill types into a field of the dialog or, if there is none, of a form.
func (b *tab) fill(name, text string) {
	b.Helper()
	field := fmt.Sprintf("(document.querySelector('dialog') ?? document).querySelector('[name=%s]')", name)
	b.until(field)
	b.run(fmt.Sprintf("const f = %s; f.value = %s; f.dispatchEvent(new Event('input', {bubbles: true}))", field, quoted(text)))
}

// snapshots waits for that many further seconds of the stream.
func (b *tab) snapshots(n int) {
	b.Helper()
	// A page that has just opened its stream has no snapshot yet: 0.
	seq := func() int {
		return value[int](b, "(async () => await import('/console/console.js').then(m => m.modules['store.js'].state.snapshot?.seq ?? 0))()")
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	first := seq()
	for ; first == 0; first = seq() {
		<-ticker.C
	}
	for seq() < first+n {
		<-ticker.C
	}
}

// visit navigates to another page of the console.
func (b *tab) visit(hash string) {
	b.Helper()
	b.run("location.hash = " + quoted(hash))
}

// axe is the accessibility checker.
var axe = sync.OnceValues(func() (string, error) {
	file, err := os.Open("testdata/axe.min.js.gz")
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	reader, err := gzip.NewReader(file)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(reader)
	return string(text), err
})

// accessible checks the page by the rules of WCAG 2.2 AA and best practices.
func (b *tab) accessible(what string) {
	b.Helper()
	script, err := axe()
	b.must(err)
	if !value[bool](b, "!!globalThis.axe") {
		_, err = chromedp.Run(b.ctx, chromedp.Evaluate[any](script+"; 0"))
		b.must(err)
	}
	for _, violation := range value[[]string](b, `axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => v.id + ': ' + v.help + ' ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + n.any.map(c => c.message).join(' ').slice(0, 200)).join(' | ')))`) {
		b.Errorf("%s: %s", what, violation)
	}
	b.fits(what)
}

// fits waits until the layout has followed the width, and checks that no element is beyond the
// right edge of the page, of a dialog or of its card.
func (b *tab) fits(what string) {
	b.Helper()
	value[bool](b, "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(true), 100))))")
	if over := value[int](b, "Math.max(document.documentElement.scrollWidth - innerWidth, ...[...document.querySelectorAll('dialog, .card')].map(d => d.scrollWidth - d.clientWidth), ...[...document.querySelectorAll('dialog table')].map(t => t.offsetWidth - t.parentElement.clientWidth))"); over > 0 {
		b.Errorf("%s: %d pixels are beyond the right edge of the page, a dialog or a card: %s", what, over, value[string](b, "[...document.querySelectorAll('#console *')].filter(e => !e.closest('.scroll, svg') && e.getBoundingClientRect().right > (e.closest('dialog, .card')?.getBoundingClientRect().right ?? innerWidth)).map(e => e.outerHTML.slice(0, 90)).slice(0, 5).join(' ')"))
	}
}

package browser

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
)

// BenchmarkColdLoad reports the time from the navigation until the page is usable, without a cache
// and in a running browser, over loopback, and the time of an empty page in the same browser,
// loaded in turn: the median of all loads, in milliseconds, and the maximum. The time depends on
// the load of the processors; therefore the benchmark also reports the load average of the machine,
// and the processor time that a load takes in all processes of the browser, the distributor and the
// test. Of the processor time of the page's main thread it reports the parts of scripts, styles and
// layout, and the sum of all tasks. It also reports values that do not depend on load: the requests
// until the page is usable, the longest chain of requests that began after the previous one had
// ended, and the bytes of scripts on the wire. An operation is a load of each page: run it with
// -benchtime 20x.
func BenchmarkColdLoad(b *testing.B) {
	w := newHarness(b, "")
	w.emit("web-1", 10, "1-100")
	open(b, w, 1280, "light", "").shows("All is well") // the browser has been started
	page, empty := make(loads), make(loads)
	for b.Loop() {
		page.add(b, w, "", "globalThis.usable")
		empty.add(b, w, "console/none", "globalThis.painted")
	}
	for _, name := range []string{"", "processor-", "script-", "style-", "layout-", "task-"} {
		b.ReportMetric(page.median(name), "median-"+name+"ms")
	}
	for _, name := range []string{"requests", "in-series", "script-kB"} {
		b.ReportMetric(page.median(name), name)
	}
	b.ReportMetric(slices.Max(page[""]), "max-ms")
	for _, name := range []string{"", "processor-", "task-"} {
		b.ReportMetric(empty.median(name), "empty-"+name+"ms")
	}
	b.ReportMetric(page.median("processor-")/empty.median("processor-"), "processor-ratio")
	b.ReportMetric(loadAverage(), "load-average")
	b.ReportMetric(0, "ns/op")
}

// loads has the measurements of each load of a page, in milliseconds, by name.
type loads map[string][]float64

// add loads a page in a new tab. When is the time since the navigation at which the page was
// usable.
func (l loads) add(tb testing.TB, w *harness, path, when string) {
	tb.Helper()
	t := openTab(tb, w, 1280, "light")
	_, err := chromedp.Call(t.ctx, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
	t.must(err)
	before := processorTime()
	t.do(chromedp.Navigate(t.url + "/" + path))
	t.until(when)
	taken := processorTime() - before
	result, err := chromedp.Call(t.ctx, performance.GetMetrics, cdp.Empty{})
	t.must(err)
	l[""] = append(l[""], value[float64](t, when))
	l["processor-"] = append(l["processor-"], taken)
	for _, m := range result.Metrics {
		if name := map[string]string{"ScriptDuration": "script-", "RecalcStyleDuration": "style-", "LayoutDuration": "layout-", "TaskDuration": "task-"}[m.Name]; name != "" {
			l[name] = append(l[name], 1000*m.Value)
		}
	}
	for name, number := range value[map[string]float64](t, countRequests) {
		l[name] = append(l[name], number)
	}
	t.close()
}

// countRequests returns the requests of a page until it was usable, including the stream, which has
// no entry before its end.
const countRequests = `(() => {
	const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource').filter(e => e.startTime < (globalThis.seen ?? Infinity))]
		.map(e => ({sent: e.requestStart, ended: e.responseEnd, kB: e.initiatorType === 'script' || /\.js$/.test(e.name) ? e.encodedBodySize / 1000 : 0}));
	if (globalThis.opened) all.push({sent: opened, ended: Infinity, kB: 0});
	all.sort((a, b) => a.sent - b.sent);
	for (const e of all) e.depth = 1 + Math.max(0, ...all.filter(b => b.ended <= e.sent && b.depth).map(b => b.depth));
	return {requests: all.length, 'in-series': Math.max(...all.map(e => e.depth)), 'script-kB': all.reduce((sum, e) => sum + e.kB, 0)};
})()`

func (l loads) median(name string) float64 {
	slices.Sort(l[name])
	return l[name][len(l[name])/2]
}

// loadAverage returns the load average of the last minute, or 0 where it is not known.
func loadAverage() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}

// processorTime returns the processor time in milliseconds of this process and its descendants, or
// 0 where it is not known.
func processorTime() float64 {
	const tick = 10 // ms, of Linux
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	parents, taken := make(map[string]string), make(map[string]float64)
	for _, name := range names {
		text, _ := os.ReadFile(name)
		_, rest, _ := strings.Cut(string(text), ") ") // after the name of the program: state, parent, …
		if fields := strings.Fields(rest); len(fields) > 14 {
			pid := filepath.Base(filepath.Dir(name))
			parents[pid] = fields[1]
			for _, field := range fields[11:15] { // the process and its children that ended
				ticks, _ := strconv.ParseFloat(field, 64)
				taken[pid] += tick * ticks
			}
		}
	}
	self, sum := strconv.Itoa(os.Getpid()), 0.0
	for pid := range parents {
		for at := pid; at != ""; at = parents[at] {
			if at == self {
				sum += taken[pid]
				break
			}
		}
	}
	return sum
}

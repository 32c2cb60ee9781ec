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

// BenchmarkColdLoad reports the time from the navigation until the page is of use, without a cache
// and in a browser that runs, over loopback, and beside it that of an empty page in the same
// browser, loaded in turn: the median of all loads, in milliseconds, and the longest one. The time
// is as long as the processors are busy with other things; therefore the load average of the machine
// is reported as well, and the processor time that a load takes in all processes of the browser, the
// distributor and the test. Of the processor time of the page's main thread it reports what its scripts, its styles and
// its layout took, and all its tasks. An operation is a load of each: run it with -benchtime 20x.
func BenchmarkColdLoad(b *testing.B) {
	w := newWorld(b, "")
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
	b.ReportMetric(slices.Max(page[""]), "max-ms")
	for _, name := range []string{"", "processor-", "task-"} {
		b.ReportMetric(empty.median(name), "empty-"+name+"ms")
	}
	b.ReportMetric(page.median("processor-")/empty.median("processor-"), "processor-ratio")
	b.ReportMetric(loadAverage(), "load-average")
	b.ReportMetric(0, "ns/op")
}

// loads has what each load of a page took, in milliseconds, by name.
type loads map[string][]float64

// add loads a page in a tab of its own. When is the time since the navigation at which it was of use.
func (l loads) add(tb testing.TB, w *world, path, when string) {
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
	t.close()
}

func (l loads) median(name string) float64 {
	slices.Sort(l[name])
	return l[name][len(l[name])/2]
}

// loadAverage returns that of the last minute, or 0 where it is not known.
func loadAverage() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}

// processorTime returns the processor time in milliseconds that this process and those below it
// have taken, or 0 where it is not known.
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
			for _, field := range fields[11:15] { // own, and of children that ended
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

package browser

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkColdLoad reports the time from the navigation until the page is of use, without a cache
// and in a browser that runs, over loopback: the median and the longest time of all loads, in
// milliseconds. The time is as long as the processors are busy with other things; therefore the load
// average of the machine is reported as well, and the processor time that a load takes in all
// processes of the browser, the distributor and the test. An operation is a load: run it with
// -benchtime 20x.
func BenchmarkColdLoad(b *testing.B) {
	w := newWorld(b, "")
	w.emit("web-1", 10, "1-100")
	open(b, w, 1280, "light", "").shows("All is well") // the browser has been started
	var times, taken []float64
	for b.Loop() {
		t := openTab(b, w, 1280, "light")
		before := processorTime()
		t.navigate("")
		t.until("globalThis.usable")
		taken = append(taken, processorTime()-before)
		times = append(times, value[float64](t, "usable"))
		t.close()
	}
	slices.Sort(times)
	slices.Sort(taken)
	b.ReportMetric(times[len(times)/2], "median-ms")
	b.ReportMetric(times[len(times)-1], "max-ms")
	b.ReportMetric(taken[len(taken)/2], "median-processor-ms")
	b.ReportMetric(loadAverage(), "load-average")
	b.ReportMetric(0, "ns/op")
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

package metric

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestRegistry(t *testing.T) {
	registerer := prometheus.NewRegistry()
	r := On(registerer)
	r.Counter("a_total", "A counter.").Inc()
	r.Counters("b_total", "Counters.", "l").WithLabelValues("x").Inc()
	r.GaugeFunc("c", "A gauge.", prometheus.Labels{"l": "y"}, func() float64 { return Bool(true) })
	r.CounterFunc("d_total", "A counter.", nil, func() float64 { return Bool(false) })
	if r.Err() != nil {
		t.Error(r.Err())
	}
	const want = "# HELP a_total A counter.\n# TYPE a_total counter\na_total 1\n" +
		"# HELP b_total Counters.\n# TYPE b_total counter\nb_total{l=\"x\"} 1\n" +
		"# HELP c A gauge.\n# TYPE c gauge\nc{l=\"y\"} 1\n" +
		"# HELP d_total A counter.\n# TYPE d_total counter\nd_total 0\n"
	if err := testutil.GatherAndCompare(registerer, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if r.Counter("a_total", "Another one."); r.Err() == nil {
		t.Error("a name that is taken is no error")
	}
	nowhere := On(nil)
	if nowhere.Counter("a_total", "A counter.").Inc(); nowhere.Err() != nil {
		t.Error(nowhere.Err())
	}
}

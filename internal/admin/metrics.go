package admin

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/metric"
)

// metrics are the metrics of the admin API, with their labels resolved.
type metrics struct {
	requests      map[int]prometheus.Counter // by the first digit of the status
	denied        map[code]prometheus.Counter
	auditFailures prometheus.Counter
	panics        prometheus.Counter
	displaced     prometheus.Counter
}

// newMetrics registers the metrics.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	r := metric.On(registerer)
	requests := r.Counters("distributor_admin_requests_total", "Requests to the admin API, by class of the status.", "code")
	denied := r.Counters("distributor_admin_denied_requests_total", "Requests to the admin API that were denied, by reason.", "reason")
	m := &metrics{
		requests: make(map[int]prometheus.Counter), denied: make(map[code]prometheus.Counter),
		auditFailures: r.Counter("distributor_admin_audit_failures_total", "Records that could not be written to the audit log."),
		panics:        r.Counter("distributor_admin_panics_total", "Requests to the admin API that ended in a panic, which is a defect."),
		displaced:     r.Counter("distributor_admin_displaced_connections_total", "Connections to the admin API that were closed because there were too many."),
	}
	for class := 2; class <= 5; class++ {
		m.requests[class] = requests.WithLabelValues(fmt.Sprintf("%dxx", class))
	}
	for _, reason := range []code{unauthorized, forbidden, hostNotAllowed, crossOrigin, methodNotAllowed, unsupportedMediaType, tooManyFailures} {
		m.denied[reason] = denied.WithLabelValues(string(reason))
	}
	return m, r.Err()
}

// count counts a request, and reports whether it was denied.
func (m *metrics) count(status int, c code) (denied bool) {
	m.requests[status/100].Inc()
	counter, denied := m.denied[c]
	if denied {
		counter.Inc()
	}
	return denied
}

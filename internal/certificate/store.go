package certificate

import (
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// Use is what certificates are for: a label of metrics.
type Use string

// The uses.
const (
	Ingest   Use = "ingest"
	Admin    Use = "admin"
	Analyzer Use = "analyzer" // of all analyzers together
)

// Store loads certificates and watches their files. It may be used concurrently.
type Store struct {
	watcher *filewatch.Watcher
	expiry  *prometheus.Desc

	mu    sync.Mutex // guards loads
	loads []*load
}

// load is the material of one configuration.
type load = filewatch.File[*material]

// material is what the files of one configuration hold.
type material struct {
	config   *tls.Config // for a handshake
	expiries expiries
}

// expiries are when certificates expire, by the label use of the metric.
type expiries map[string]time.Time

// NewStore returns a Store. A nil registerer gets no metrics.
func NewStore(watcher *filewatch.Watcher, registerer prometheus.Registerer) (*Store, error) {
	s := &Store{watcher: watcher, expiry: prometheus.NewDesc("distributor_tls_certificate_expiry_timestamp_seconds",
		"When the first certificate of a use expires, and of CA files when the last one does, as a Unix time.", []string{"use"}, nil)}
	if registerer == nil {
		return s, nil
	}
	return s, registerer.Register(s)
}

// Describe implements prometheus.Collector.
func (s *Store) Describe(descs chan<- *prometheus.Desc) { descs <- s.expiry }

// Collect implements prometheus.Collector.
func (s *Store) Collect(metrics chan<- prometheus.Metric) {
	for use, at := range s.expiries() {
		metrics <- prometheus.MustNewConstMetric(s.expiry, prometheus.GaugeValue, float64(at.Unix()), use)
	}
}

// expiries returns the first expiry of each use.
func (s *Store) expiries() expiries {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := make(expiries)
	for _, l := range s.loads {
		for use, at := range l.Value().expiries {
			if before, known := first[use]; !known || at.Before(before) {
				first[use] = at
			}
		}
	}
	return first
}

// add watches files and returns what they hold.
func (s *Store) add(use Use, sources []filewatch.Source, parse func(contents [][]byte) (*material, error)) (*load, error) {
	l, err := filewatch.Watch(s.watcher, string(use)+"_certificate", sources, parse)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads = append(s.loads, l)
	return l, nil
}

func (s *Store) remove(l *load) {
	l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads = slices.DeleteFunc(s.loads, func(other *load) bool { return other == l })
}

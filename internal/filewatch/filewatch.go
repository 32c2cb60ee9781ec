// Package filewatch reads small files of operators, such as certificates and tokens, anew
// when their content changes. It compares content, not times or names: Kubernetes replaces
// a mounted secret by swapping a link to its folder.
package filewatch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

const (
	// Interval is the time between two looks at the files.
	Interval = 10 * time.Second
	// MaxBytes bounds one file.
	MaxBytes = 1 << 20
)

// Watcher looks at files. It may be used concurrently.
type Watcher struct {
	logger   *slog.Logger
	failures *prometheus.CounterVec

	mu    sync.Mutex // guards files and what look changes
	files []looker
}

// looker is a *File.
type looker interface{ look() error }

// New returns a Watcher without files. A nil registerer gets no metrics.
func New(logger *slog.Logger, registerer prometheus.Registerer) (*Watcher, error) {
	w := &Watcher{logger: logger, failures: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "distributor_credential_reload_failures_total",
		Help: "Changed certificate, CA or token files that could not be used, so that the content before remains in use.",
	}, []string{"use"})}
	if registerer == nil {
		return w, nil
	}
	return w, registerer.Register(w.failures)
}

// Run looks at the files every Interval until the context ends.
func (w *Watcher) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = w.Reload() // logged and counted
		}
	}
}

// Reload looks at all files now. It returns the errors of those that cannot be used, of
// which the content before remains in use.
func (w *Watcher) Reload() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, f := range w.files {
		errs = append(errs, f.look())
	}
	return errors.Join(errs...)
}

// Source is a file, and the setting that names it.
type Source struct{ Key, Path string }

// Errorf returns an error that names the setting and the file.
func (s Source) Errorf(format string, args ...any) error {
	return fmt.Errorf("%s is %q: %w", s.Key, s.Path, fmt.Errorf(format, args...))
}

// File is the value of one or several files together, such as a certificate and its key.
type File[T any] struct {
	watcher *Watcher
	use     string
	sources []Source
	parse   func(contents [][]byte) (T, error)
	value   atomic.Pointer[T]

	// The watcher's mu guards these.
	digest [sha256.Size]byte // of the contents in use
	failed bool              // the last look
}

// Watch reads files and watches them until Close. It returns an error, and watches nothing,
// if they cannot be read or parsed. Use is a label of metrics and one of a small set. The
// errors of parse name a Source; parse is not called concurrently.
func Watch[T any](w *Watcher, use string, sources []Source, parse func(contents [][]byte) (T, error)) (*File[T], error) {
	f := &File[T]{watcher: w, use: use, sources: sources, parse: parse}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures.WithLabelValues(use)
	if _, err := f.load(); err != nil {
		return nil, err
	}
	w.files = append(w.files, f)
	return f, nil
}

// Value returns the last value that was good. It may be called concurrently, as Close may.
func (f *File[T]) Value() T { return *f.value.Load() }

// Close ends the watch. Value remains.
func (f *File[T]) Close() {
	f.watcher.mu.Lock()
	defer f.watcher.mu.Unlock()
	f.watcher.files = slices.DeleteFunc(f.watcher.files, func(other looker) bool { return other == looker(f) })
}

// look loads changed files. It counts and logs the first of several failures.
func (f *File[T]) look() error {
	changed, err := f.load()
	switch {
	case err != nil && !f.failed:
		f.watcher.failures.WithLabelValues(f.use).Inc()
		f.watcher.logger.Error("a file that changed cannot be used; what was read before remains in use", "use", f.use, "error", err)
	case changed || err == nil && f.failed:
		f.watcher.logger.Info("a file that changed is in use", "use", f.use, "file", f.sources[0].Path)
	}
	f.failed = err != nil
	return err
}

// load reads and, if the content is not the one in use, parses.
func (f *File[T]) load() (changed bool, err error) {
	contents := make([][]byte, len(f.sources))
	for i, s := range f.sources {
		if contents[i], err = datafile.ReadFollowing(s.Path, MaxBytes); err != nil {
			return false, s.Errorf("it cannot be read: %w", err)
		}
	}
	digest := digestOf(contents)
	if f.value.Load() != nil && digest == f.digest {
		return false, nil
	}
	value, err := f.parse(contents)
	if err != nil {
		return false, err
	}
	f.digest = digest
	f.value.Store(&value)
	return true, nil
}

func digestOf(contents [][]byte) (digest [sha256.Size]byte) {
	all := sha256.New()
	for _, content := range contents {
		part := sha256.Sum256(content) // so that a byte cannot move between files unseen
		_, _ = all.Write(part[:])
	}
	all.Sum(digest[:0])
	return digest
}

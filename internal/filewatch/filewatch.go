// Package filewatch reads small files of operators, such as certificates and tokens, again when
// their content changes. It compares content, not times or names: Kubernetes replaces a mounted
// secret by swapping a link to its directory.
package filewatch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/metric"
)

const (
	// Interval is the time between two checks of the files.
	Interval = 10 * time.Second
	// MaxBytes bounds one file.
	MaxBytes = 1 << 20
)

// Watcher watches files by polling. It may be used concurrently.
type Watcher struct {
	logger   *slog.Logger
	failures *prometheus.CounterVec

	mu    sync.Mutex // guards files and what look changes
	files []watchedFile
}

// watchedFile is a *File.
type watchedFile interface {
	stage() (use func(), err error)
	isAmong(paths []string) bool
}

// New returns a Watcher without files. A nil registerer gets no metrics.
func New(logger *slog.Logger, registerer prometheus.Registerer) (*Watcher, error) {
	r := metric.On(registerer)
	return &Watcher{logger: logger, failures: r.Counters("distributor_credential_reload_failures_total",
		"Changed certificate, CA or token files that could not be used, so that the content before remains in use.", "use")}, r.Err()
}

// Run checks the files every Interval until the context ends.
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

// Reload checks all files now. It returns the errors of those that cannot be used, of
// which the content before remains in use.
func (w *Watcher) Reload() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, f := range w.files {
		use, err := f.stage()
		use()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Stage looks now at the files with the given paths, which are those that will be needed, and
// returns the errors of those that cannot be used. What has changed is in use after commit, and
// not before: either all of it is, or nothing.
func (w *Watcher) Stage(paths []string) (commit func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var uses []func()
	var errs []error
	for _, f := range w.files {
		if !f.isAmong(paths) {
			continue
		}
		use, err := f.stage()
		uses, errs = append(uses, use), append(errs, err)
	}
	commit = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, use := range uses {
			use()
		}
	}
	return commit, errors.Join(errs...)
}

// Source is a file, and the setting that names it.
type Source struct{ Key, Path string }

// Errorf returns an error that names the setting and the file. The key may have a prefix, such
// as the analyzer that it is a setting of.
func (s Source) Errorf(format string, args ...any) error {
	key := s.Key[strings.LastIndexByte(s.Key, ' ')+1:]
	return config.Refuse(key, s.Path, "a file that can be read and used", "%s is %q: %w", s.Key, s.Path, fmt.Errorf(format, args...))
}

// File is the value of one or several files together, such as a certificate and its key.
type File[T any] struct {
	watcher *Watcher
	label   string // use
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
	f := &File[T]{watcher: w, label: use, sources: sources, parse: parse}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures.WithLabelValues(use)
	first, err := f.load()
	if err != nil {
		return nil, err
	}
	f.use(first)
	w.files = append(w.files, f)
	return f, nil
}

// Value returns the last value that was good. It may be called concurrently, as Close may.
func (f *File[T]) Value() T { return *f.value.Load() }

// Close ends the watch. Value remains.
func (f *File[T]) Close() {
	f.watcher.mu.Lock()
	defer f.watcher.mu.Unlock()
	f.watcher.files = slices.DeleteFunc(f.watcher.files, func(other watchedFile) bool { return other == watchedFile(f) })
}

// isAmong reports whether all files have one of the paths.
func (f *File[T]) isAmong(paths []string) bool {
	return !slices.ContainsFunc(f.sources, func(s Source) bool { return !slices.Contains(paths, s.Path) })
}

// stage reads changed files, and returns what puts them in use. It counts and logs the first
// of several failures.
func (f *File[T]) stage() (use func(), err error) {
	next, err := f.load()
	if err != nil && !f.failed {
		f.watcher.failures.WithLabelValues(f.label).Inc()
		f.watcher.logger.Error("a file that changed cannot be used; what was read before remains in use", "use", f.label, "error", err)
	}
	recovered := err == nil && f.failed
	f.failed = err != nil
	return func() {
		if next == nil && !recovered {
			return
		}
		if next != nil {
			f.use(next)
		}
		f.watcher.logger.Info("a file that changed is in use", "use", f.label, "file", f.sources[0].Path)
	}, err
}

// content is what files had when they were read.
type content[T any] struct {
	digest [sha256.Size]byte
	value  T
}

// load reads and, if the content is not the one in use, parses; otherwise it returns nil.
func (f *File[T]) load() (*content[T], error) {
	contents := make([][]byte, len(f.sources))
	var err error
	for i, s := range f.sources {
		if contents[i], err = datafile.ReadFollowing(s.Path, MaxBytes); err != nil {
			return nil, s.Errorf("it cannot be read: %w", err)
		}
	}
	digest := digestOf(contents)
	if f.value.Load() != nil && digest == f.digest {
		return nil, nil
	}
	value, err := f.parse(contents)
	if err != nil {
		return nil, err
	}
	return &content[T]{digest, value}, nil
}

func (f *File[T]) use(c *content[T]) {
	f.digest = c.digest
	f.value.Store(&c.value)
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

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/worker"
)

const (
	settingsKey = "settings"
	// settingsHistory is the number of revisions that the bucket keeps, for operators.
	settingsHistory = 10
	// maxSettingsBytes bounds the bucket, whose texts are messages of NATS.
	maxSettingsBytes = 2 * settingsHistory << 20
	// readInterval is the time between two reads of the text, which find changes that a watcher
	// missed, for example while its server was down.
	readInterval = 500 * time.Millisecond
	// textOverhead is the size of a message without the text.
	textOverhead = 1 << 10
)

// Settings is the text with the changes of operators. It implements control.Document.
type Settings struct {
	cluster *Cluster
	wake    worker.Signal // signal to run: read again
	changes worker.Signal
	first   chan struct{} // closed after the first read

	reading sync.Mutex // serializes reads, and guards the fields below
	bucket  jetstream.KeyValue
	stop    func() // stops the watch of the bucket

	mu      sync.Mutex // guards all below
	text    []byte
	version uint64
	err     error
}

func newSettings(c *Cluster) *Settings {
	return &Settings{cluster: c, wake: worker.NewSignal(), changes: worker.NewSignal(), first: make(chan struct{}), err: errConnecting}
}

// Latest implements control.Document.
func (s *Settings) Latest() (text []byte, version uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, s.version, s.err
}

// Changed implements control.Document.
func (s *Settings) Changed() <-chan struct{} { return s.changes }

// Refresh implements control.Document.
func (s *Settings) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, natslink.APITimeout)
	defer cancel()
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.readLocked(ctx)
}

// Replace implements control.Document.
func (s *Settings) Replace(ctx context.Context, text []byte, version uint64) (uint64, error) {
	if err := s.cluster.connected(); err != nil {
		return 0, err
	}
	if limit := s.cluster.link.MaxPayload() - textOverhead; int64(len(text)) > limit {
		return 0, fmt.Errorf("the overrides have %d bytes: NATS takes %d (max_payload); revert some", len(text), limit)
	}
	ctx, cancel := context.WithTimeout(ctx, natslink.APITimeout)
	defer cancel()
	s.reading.Lock()
	defer s.reading.Unlock()
	bucket, err := s.openLocked(ctx, true)
	if err != nil {
		return 0, err
	}
	var next uint64
	if version == 0 {
		next, err = bucket.Create(ctx, settingsKey, text)
	} else {
		next, err = bucket.Update(ctx, settingsKey, text, version)
	}
	switch {
	case errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return 0, s.readReplacedLocked(ctx, version)
	case errors.Is(err, context.DeadlineExceeded):
		return 0, fmt.Errorf("%w; whether it was stored is not known: if it was, it is made", explain(err, bucket.Bucket()))
	case err != nil:
		return 0, explain(err, bucket.Bucket())
	}
	s.set(text, next, nil)
	return next, nil
}

// readReplacedLocked reads until it finds another text than that of a version; a server that is
// behind may not have that text yet.
func (s *Settings) readReplacedLocked(ctx context.Context, version uint64) error {
	const pause = 5 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		if err := s.readLocked(ctx); err != nil {
			return err
		}
		if _, now, _ := s.Latest(); now != version {
			return control.ErrReplaced
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the bucket does not return the text that replaced version %d: %w", version, ctx.Err())
		case <-ticker.C:
		}
	}
}

// Close implements control.Document. It closes the Cluster.
func (s *Settings) Close() { s.cluster.Close() }

// run reads the text until the context ends.
func (s *Settings) run(ctx context.Context) {
	ticker := time.NewTicker(readInterval)
	defer ticker.Stop()
	defer s.stopWatching()
	for first := true; ; {
		err := s.Refresh(ctx)
		if first && !errors.Is(err, errConnecting) {
			first = false
			close(s.first)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-ticker.C:
		}
	}
}

// readLocked reads the text.
func (s *Settings) readLocked(ctx context.Context) error {
	text, version, latest, err := s.fetchLocked(ctx)
	if err == nil && !latest && s.isBehindLocked(ctx, version) {
		text, version, _ = s.Latest()
	}
	if err != nil {
		if ctx.Err() == context.Canceled {
			return err
		}
		s.closeLocked()
		text, version, _ = s.Latest()
	}
	s.set(text, version, err)
	return err
}

// fetchLocked returns the text of any server, or reports that it is the latest one.
func (s *Settings) fetchLocked(ctx context.Context) (text []byte, version uint64, latest bool, err error) {
	if err := s.cluster.connected(); err != nil {
		return nil, 0, false, err
	}
	bucket, err := s.openLocked(ctx, false)
	if bucket == nil || err != nil {
		return nil, 0, false, err
	}
	entry, err := bucket.Get(ctx, settingsKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound): // the text was never stored, it was deleted, or the server is behind
		gone, err := s.isDeleted(ctx, bucket.Bucket())
		return nil, 0, gone, err
	case err != nil:
		return nil, 0, false, explain(err, bucket.Bucket())
	}
	return entry.Value(), entry.Revision(), false, nil
}

// isDeleted reports whether the text was deleted, or the bucket was purged, according to the leader
// of the bucket.
func (s *Settings) isDeleted(ctx context.Context, bucket string) (bool, error) {
	request, _ := json.Marshal(map[string]string{"last_by_subj": "$KV." + bucket + "." + settingsKey})
	response, err := s.cluster.link.Conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.KV_"+bucket, request)
	if err != nil {
		return false, explain(err, bucket)
	}
	var decoded struct {
		Message *struct {
			Header []byte `json:"hdrs"`
		} `json:"message"`
		Error jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(response.Data, &decoded); err != nil {
		return false, explain(err, bucket)
	}
	if decoded.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
		return true, nil
	}
	return decoded.Message != nil && bytes.Contains(decoded.Message.Header, []byte("KV-Operation:")), nil
}

// isBehindLocked reports whether a text that was read is older than the known one because the
// server that answered is behind, and not because the bucket was replaced.
func (s *Settings) isBehindLocked(ctx context.Context, version uint64) bool {
	_, known, _ := s.Latest()
	if version >= known || s.bucket == nil {
		return false
	}
	status, err := s.bucket.Status(ctx)
	if err != nil {
		return true
	}
	of, ok := status.(*jetstream.KeyValueBucketStatus)
	return ok && of.StreamInfo().State.LastSeq >= known
}

// set stores the text that was read, and signals a change.
func (s *Settings) set(text []byte, version uint64, err error) {
	s.mu.Lock()
	same := s.version == version && bytes.Equal(s.text, text) && (s.err == nil) == (err == nil) && (err == nil || err.Error() == s.err.Error())
	s.text, s.version, s.err = text, version, err
	s.mu.Unlock()
	if !same {
		s.changes.Notify()
	}
}

// openLocked returns the bucket, which is watched. If the bucket is missing, it creates the bucket
// if that is allowed, and returns nil otherwise.
func (s *Settings) openLocked(ctx context.Context, create bool) (jetstream.KeyValue, error) {
	if s.bucket != nil {
		return s.bucket, nil
	}
	want := s.cluster.bucketConfig("-settings", "what operators changed at distributors of Log Streamer")
	want.History, want.MaxBytes = settingsHistory, maxSettingsBytes
	bucket, err := s.cluster.openBucket(ctx, want, create)
	if bucket == nil || err != nil {
		return nil, err
	}
	s.stop, err = watch(bucket, &s.cluster.running, func(jetstream.KeyValueEntry) { s.wake.Notify() }, jetstream.UpdatesOnly(), jetstream.MetaOnly())
	if err != nil {
		return nil, err
	}
	s.bucket = bucket
	return bucket, nil
}

// closeLocked makes the next read open the bucket again, because the bucket may have been replaced.
func (s *Settings) closeLocked() {
	if s.bucket != nil {
		s.stop()
	}
	s.bucket = nil
}

func (s *Settings) stopWatching() {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.closeLocked()
}

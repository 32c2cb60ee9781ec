package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
)

// Document is a text that several distributors share. Each version of it is made from the version
// that it replaces. It may be used concurrently.
type Document interface {
	// Latest returns the newest known text, nil if there is none, with its version. The error is
	// the reason why another distributor may have replaced the text unnoticed. It does not wait.
	Latest() (text []byte, version uint64, err error)
	// Refresh reads the stored text, which Latest then returns, or returns why it cannot be read.
	Refresh(ctx context.Context) error
	// Replace replaces the text of a version, 0 if there is none, and returns the version of the
	// new text. It returns ErrReplaced if the version is not the latest one; Latest then returns
	// that. Any other error means that the text was not replaced, unless the error says otherwise.
	Replace(ctx context.Context, text []byte, version uint64) (uint64, error)
	// Changed receives a value after the result of Latest has changed.
	Changed() <-chan struct{}
	// Close closes the connection to the other distributors.
	Close()
}

// ErrReplaced means that another distributor has replaced the text.
var ErrReplaced = errors.New("it was replaced by another distributor")

// sharedStore keeps the content in a document that several distributors share, and the latest valid
// copy of it in a file. A distributor starts with the copy while the document cannot be reached.
type sharedStore struct {
	document Document
	copy     fileStore
	logger   *slog.Logger

	copyFailed bool // why the latest copy could not be written; guarded by Controller.mu
}

func (s *sharedStore) load() (stored, error) { return s.copy.load() }

func (s *sharedStore) latest() (content stored, err error) {
	text, version, err := s.document.Latest()
	switch {
	case text != nil: // also a content that may be outdated
		err = json.Unmarshal(text, &content)
		if err == nil && content.Version != storeVersion {
			err = fmt.Errorf("their version is %d: this program reads version %d", content.Version, storeVersion)
		}
		if err != nil {
			return stored{}, fmt.Errorf("the shared settings cannot be read: %w", err)
		}
		content.version = version
	case err != nil:
		return stored{}, err
	}
	return content, nil
}

func (s *sharedStore) refresh(ctx context.Context) error { return s.document.Refresh(ctx) }

// save stores the content in the document, unless the document has it already, and then in the
// copy.
func (s *sharedStore) save(ctx context.Context, content stored) (stored, error) {
	if now, err := s.latest(); err != nil || now.version != content.version || now.Revision != content.Revision {
		text, err := encodeShared(content)
		if err != nil {
			return content, err
		}
		version, err := s.document.Replace(ctx, text, content.version)
		if errors.Is(err, ErrReplaced) {
			return content, errReplaced
		}
		if err != nil {
			return content, err
		}
		content.version = version
	}
	_, err := s.copy.save(ctx, content)
	if failed := err != nil; failed != s.copyFailed {
		s.copyFailed = failed
		if failed {
			s.logger.Warn("the copy of the shared settings cannot be written: without NATS the next start would not have them", "error", err)
		}
	}
	return content, nil
}

// encodeShared returns the text of the document, without the fields that are known to this
// distributor only.
func encodeShared(content stored) ([]byte, error) {
	content.Version, content.Hash = storeVersion, ""
	return json.MarshalIndent(content, "", "  ")
}

func (s *sharedStore) changed() <-chan struct{} { return s.document.Changed() }

func (s *sharedStore) status() StoreStatus {
	_, _, err := s.document.Latest()
	if err == nil {
		_, err = s.latest()
	}
	status := StoreStatus{Shared: true, Synchronized: err == nil}
	if err != nil {
		status.Detail = err.Error()
	}
	return status
}

func (s *sharedStore) close() { s.document.Close() }

package emitter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

const (
	checkpointVersion = 1
	// maxCheckpointBytes bounds the file; it is far beyond what maxTails files need.
	maxCheckpointBytes = 256 << 20
)

// checkpoint is the content of the checkpoint file.
type checkpoint struct {
	Version int          `json:"version"`
	Files   []*fileState `json:"files"`
}

// fileState is the progress of one file.
type fileState struct {
	Path string `json:"path"`
	identity
	Fingerprint fingerprint `json:"fingerprint"`
	// ID is the prefix of the packet ids of the file; a file that is truncated gets another id.
	ID string `json:"id"`
	position
	// Open are the spans before Offset whose packets are not completed.
	Open []*span `json:"open"`
}

// position is the beginning of a packet, with the state that its bytes depend on.
type position struct {
	Offset int64 `json:"offset"`
	// MidLine is set when Offset is in the truncated part of a line, which is skipped.
	MidLine bool `json:"mid_line,omitempty"`
	// Last is the time of the previous message, in milliseconds.
	Last int64 `json:"last,omitempty"`
}

// readCheckpoint returns the content of the file, or an empty one if there is no file.
func readCheckpoint(path string) (c checkpoint, err error) {
	file, err := datafile.Open(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return checkpoint{}, nil
	}
	if err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if c, err = decodeCheckpoint(file); err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: %s %w; without it, all files are sent from their beginning", path, err)
	}
	return c, nil
}

func decodeCheckpoint(r io.Reader) (c checkpoint, err error) {
	if err := json.NewDecoder(io.LimitReader(r, maxCheckpointBytes)).Decode(&c); err != nil {
		return checkpoint{}, fmt.Errorf("is not valid: %w", err)
	}
	if c.Version != checkpointVersion {
		return checkpoint{}, fmt.Errorf("has version %d: it must be %d", c.Version, checkpointVersion)
	}
	for i, file := range c.Files {
		if err := file.validate(); err != nil {
			return checkpoint{}, fmt.Errorf("is not valid: files[%d]: %w", i, err)
		}
	}
	return c, nil
}

// validate returns an error for values that no emitter writes.
func (f *fileState) validate() error {
	switch {
	case f == nil:
		return errors.New("there is null: it must be an object")
	case f.Offset < 0:
		return fmt.Errorf("offset is %d: it must not be negative", f.Offset)
	case f.Fingerprint.Bytes < 0 || f.Fingerprint.Bytes > fingerprintBytes:
		return fmt.Errorf("fingerprint.bytes is %d: it must be from 0 to %d", f.Fingerprint.Bytes, fingerprintBytes)
	}
	for i, o := range f.Open {
		switch {
		case o == nil:
			return fmt.Errorf("open[%d] is null: it must be an object", i)
		case o.Offset < 0 || o.End < o.Offset || o.End > f.Offset:
			return fmt.Errorf("open[%d] is from %d to %d: it must be within the %d bytes that were read", i, o.Offset, o.End, f.Offset)
		}
	}
	return nil
}

// writeCheckpoint replaces the file. It returns after the content is on stable storage.
func writeCheckpoint(path string, files []*fileState) error {
	text, err := json.Marshal(checkpoint{checkpointVersion, files})
	if err != nil {
		return err
	}
	return datafile.Replace(path, append(text, '\n'), 0o600)
}

// openCheckpoint locks the checkpoint, which a second emitter would overwrite, and continues its
// files.
func (s *followSource) openCheckpoint() (err error) {
	var locked *datafile.LockedError
	switch s.lock, err = datafile.Lock(s.checkpoint + ".lock"); {
	case errors.As(err, &locked):
		return fmt.Errorf("CHECKPOINT_FILE is %s: each emitter needs one of its own: %w", s.checkpoint, err)
	case err != nil: // the checkpoint cannot be written either then
		s.logger.Warn("the checkpoint cannot be locked", "file", s.checkpoint, "reason", err)
	}
	saved, err := readCheckpoint(s.checkpoint)
	if err != nil {
		return errors.Join(err, s.unlock())
	}
	for _, state := range saved.Files {
		s.restore(state)
	}
	return nil
}

func (s *followSource) unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// restore continues a file of the checkpoint.
func (s *followSource) restore(state *fileState) {
	file, info, id, found := s.relocate(state)
	if !found {
		s.logger.Warn("a file of the checkpoint is gone or was truncated; what was not sent of it is missing",
			"file", state.Path, "sent_bytes", state.Offset, "uncompleted_packets", len(state.Open))
		s.unsaved = true
		return
	}
	state.identity = id
	t := s.follow(state, file, info, time.Now())
	for _, o := range state.Open {
		s.replay = append(s.replay, replayed{t, o})
	}
}

// hasOpen drops completed spans and reports whether others remain.
func (f *fileState) hasOpen() bool {
	f.Open = slices.DeleteFunc(f.Open, func(o *span) bool { return o.done.Load() })
	return len(f.Open) > 0
}

// save writes the checkpoint if positions changed. While writing fails, files are sent
// nevertheless, and a restart may send packets twice.
func (s *followSource) save() {
	var files []*fileState
	for _, t := range s.tails {
		before := len(t.state.Open)
		t.state.hasOpen()
		s.unsaved = s.unsaved || len(t.state.Open) != before
		files = append(files, t.state)
	}
	if s.checkpoint == "" || !s.unsaved {
		return
	}
	err := writeCheckpoint(s.checkpoint, files)
	s.unsaved = err != nil
	switch {
	case err != nil && !s.unwritable:
		s.logger.Warn("the checkpoint cannot be written; a restart may send again what is sent meanwhile", "file", s.checkpoint, "reason", err)
	case err == nil && s.unwritable:
		s.logger.Info("the checkpoint is written again", "file", s.checkpoint)
	}
	s.unwritable = err != nil
}

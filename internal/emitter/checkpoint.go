package emitter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

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

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
	decoder := json.NewDecoder(io.LimitReader(file, maxCheckpointBytes))
	if err := decoder.Decode(&c); err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: %s is not valid: %w; without it, all files are sent from their beginning", path, err)
	}
	if c.Version != checkpointVersion {
		return checkpoint{}, fmt.Errorf("checkpoint: %s has version %d: it must be %d; without it, all files are sent from their beginning", path, c.Version, checkpointVersion)
	}
	return c, nil
}

// writeCheckpoint replaces the file. It returns after the content is on stable storage.
func writeCheckpoint(path string, files []*fileState) error {
	text, err := json.Marshal(checkpoint{checkpointVersion, files})
	if err != nil {
		return err
	}
	return datafile.Replace(path, append(text, '\n'), 0o600)
}

//go:build unix

package distributor

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// Packets are refused after DATA_DIR was removed.
func TestVanishedDataDir(t *testing.T) {
	_, targets := threeScripted(t)
	config := quick(t, targets...)
	config.Journal, config.DataDir = JournalDisk, filepath.Join(t.TempDir(), "data")
	s := startSystem(t, config)
	if status, _, body := s.send(1); status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	// Renamed first, since the distributor may create a file in it while its contents are removed.
	gone := config.DataDir + ".gone"
	if err := errors.Join(os.Rename(config.DataDir, gone), os.RemoveAll(gone)); err != nil {
		t.Fatal(err)
	}
	if status, _, body := s.send(1); status != 503 || !strings.Contains(body, `"code":"journal_unwritable"`) {
		t.Errorf("after the directory was removed: %d %s", status, body)
	}
	if status, document := s.get(t, "/readyz"); status != 503 || document["code"] != "journal_unwritable" {
		t.Errorf("/readyz: %d %v", status, document)
	}
}

// The bounds of a sum that is about 1 belong to it, and the log has the sum without errors of rounding.
func TestWeightSum(t *testing.T) {
	for _, c := range []struct {
		weights []float64
		logged  string // "" for none
	}{{[]float64{0.6, 0.3}, ""}, {[]float64{0.7, 0.4}, ""}, {[]float64{0.5, 0.2, 0.1}, "sum=0.8"}, {[]float64{1.1, 1.1, 1.1}, "sum=3.3"}} {
		config := quick(t)
		config.DataDir = t.TempDir()
		for _, weight := range c.weights {
			config.Targets = append(config.Targets, Target{URL: fmt.Sprintf("http://127.0.0.1:%d", 1+len(config.Targets)), Weight: weight})
		}
		d, log, err := newLogged(config)
		if err != nil {
			t.Fatal(err)
		}
		if text := log.String(); strings.Contains(text, "sum=") != (c.logged != "") || c.logged != "" && !strings.Contains(text, c.logged+"\n") {
			t.Errorf("%v: %s, want %q", c.weights, text, c.logged)
		}
		if err := d.release(); err != nil {
			t.Error(err)
		}
	}
}

// A second distributor on the same DATA_DIR does not start until the first has stopped, or, with a
// memory journal, logs that each overwrites the other's changes at run time.
func TestSharedDataDir(t *testing.T) {
	_, targets := threeScripted(t)
	for _, journal := range []string{JournalMemory, JournalDisk} {
		config := quick(t, targets...)
		config.Journal, config.DataDir = journal, t.TempDir()
		first, firstLog, err := newLogged(config)
		if err != nil || strings.Contains(firstLog.String(), sharedDataDir) {
			t.Fatal(err, firstLog)
		}
		second, secondLog, err := newLogged(config)
		switch locked, ok := errors.AsType[*datafile.LockedError](err); {
		case journal == JournalDisk:
			if !ok || !strings.HasPrefix(locked.Path, config.DataDir) || !strings.Contains(err.Error(), "DATA_DIR") {
				t.Errorf("with a disk journal: %v %v", second, err)
			}
		case err != nil || !strings.Contains(secondLog.String(), sharedDataDir):
			t.Errorf("with a memory journal: %v, logged %s", err, secondLog)
		default:
			if err := second.release(); err != nil {
				t.Error(err)
			}
		}
		if err := first.release(); err != nil {
			t.Error(err)
		}
		third, thirdLog, err := newLogged(config)
		if err != nil || strings.Contains(thirdLog.String(), sharedDataDir) {
			t.Fatalf("%s, after the first: %v %s", journal, err, thirdLog)
		}
		if err := third.release(); err != nil {
			t.Error(err)
		}
	}
}

const sharedDataDir = "another distributor uses DATA_DIR"

func newLogged(config Config) (*Distributor, *bytes.Buffer, error) {
	log := new(bytes.Buffer)
	d, err := New(config, slog.New(slog.NewTextHandler(log, nil)))
	return d, log, err
}

// An unusable DATA_DIR is logged with a memory journal and fails the start with a disk
// journal.
func TestUnusableDataDir(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, targets := threeScripted(t)
	for _, journal := range []string{JournalMemory, JournalDisk} {
		config := quick(t, targets...)
		config.Journal, config.DataDir = journal, filepath.Join(file, "data")
		var log bytes.Buffer
		d, err := New(config, slog.New(slog.NewTextHandler(&log, nil)))
		if err == nil {
			defer d.closeListeners()
		}
		if journal == JournalDisk && (err == nil || !strings.Contains(err.Error(), config.DataDir) || !strings.Contains(err.Error(), "packets, dead letters")) {
			t.Errorf("with a disk journal: %v", err)
		}
		if journal == JournalMemory && (err != nil || !strings.Contains(log.String(), "dead letters cannot be kept")) {
			t.Errorf("with a memory journal: %v, logged %s", err, &log)
		}
	}
}

package disk

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Report describes the content of a journal.
type Report struct {
	Dir           string        `json:"dir"`
	FormatVersion int           `json:"format_version"`
	Segments      []SegmentInfo `json:"segments"`
	Bytes         int64         `json:"bytes"`
	// Packets is the number of packet records, delivered or not.
	Packets int64 `json:"packets"`
	// Undelivered is the volume that a start would deliver.
	Undelivered Undelivered `json:"undelivered"`
	// NextSequence is the sequence of the next accepted packet.
	NextSequence uint64   `json:"next_sequence"`
	Damages      []Damage `json:"damages"`
	// Foreign has the files that are not segments and not read.
	Foreign []Foreign `json:"foreign,omitempty"`
}

// SegmentInfo describes one segment.
type SegmentInfo struct {
	Path        string `json:"path"`
	Bytes       int64  `json:"bytes"`
	Undelivered int64  `json:"undelivered_packets"`
}

// Undelivered is the volume of the undelivered packets in a journal.
type Undelivered struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"` // of the packets' bodies
	// Oldest is the time at which the oldest packet was accepted, or nil.
	Oldest *time.Time `json:"oldest,omitempty"`
}

// LostPackets returns the number of undelivered packets that are lost.
func (r Report) LostPackets() int64 {
	var lost int64
	for _, d := range r.Damages {
		lost += d.Packets
	}
	return lost
}

// Inspect reads the journal of a data directory and verifies the checksum of each
// record. It changes nothing and takes no lock. While a distributor runs, the report
// is approximate.
func Inspect(dir string) (Report, error) {
	found, err := readStable(dir)
	if err != nil {
		return Report{}, err
	}
	return found.report(), nil
}

// CheckVersion returns a *VersionError if this version cannot read the journal of a data
// directory. It reads headers only, changes nothing and takes no lock.
func CheckVersion(dir string) error {
	found := &replay{files: &osFiles{}, dir: filepath.Join(dir, segmentsDir)}
	names, err := found.files.List(found.dir)
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	_, err = found.findSegments(names)
	return err
}

// Verify does what Inspect does and also validates each undelivered packet. The error
// has one line; it is nil if all packets are readable and valid.
func Verify(dir string) (Report, error) {
	found, err := readStable(dir)
	if err != nil {
		return Report{}, err
	}
	report := found.report()
	unusable, err := found.undelivered(func(record) error { return nil })
	if err != nil {
		return report, err
	}
	return report, report.err(unusable)
}

// err returns nil if all packets are readable and valid.
func (r Report) err(unusable int64) error {
	if lost := r.LostPackets(); lost > 0 || unusable > 0 {
		return fmt.Errorf("%s: %d undelivered packets are lost to damage and %d are invalid", r.Dir, lost, unusable)
	}
	for _, d := range r.Damages {
		if d.Unread {
			return fmt.Errorf("%s: a part cannot be read at offset %d: %s", d.Segment, d.Offset, d.Reason)
		}
	}
	return nil
}

// Export writes the undelivered packets of a data directory as NDJSON, in the order of
// their sequences, and returns their number. It compacts packets with line breaks and
// copies others unchanged. It skips lost and invalid packets and then returns an error.
// It may be used while a distributor runs.
func Export(dir string, w io.Writer) (int64, error) {
	found, err := readStable(dir)
	if err != nil {
		return 0, err
	}
	var written int64
	exporter := journal.Exporter{W: w}
	unusable, err := found.undelivered(func(r record) error {
		if err := exporter.Write(r.body); err != nil {
			return err
		}
		written++
		return nil
	})
	if err == nil {
		err = found.report().err(unusable)
	}
	return written, err
}

// readStable reads a journal. A commit that is being written looks like damage, so
// damage counts only if it is found again after rereadDelay.
func readStable(dir string) (*replay, error) {
	return readTwice(&osFiles{}, dir, func() { time.Sleep(rereadDelay) })
}

const rereadDelay = 200 * time.Millisecond

func readTwice(files fileSystem, dir string, pause func()) (*replay, error) {
	first := &replay{files: files, dir: filepath.Join(dir, segmentsDir)}
	if err := first.run(); err != nil || len(first.damages) == 0 {
		return first, err
	}
	pause()
	second := &replay{files: files, dir: first.dir}
	err := second.run()
	second.damages = slices.DeleteFunc(second.damages, func(d Damage) bool {
		return !slices.ContainsFunc(first.damages, d.isAt)
	})
	return second, err
}

func (r *replay) report() Report {
	report := Report{
		Dir: r.dir, FormatVersion: segmentVersion, Segments: []SegmentInfo{},
		Packets: r.packets, NextSequence: max(1, r.next), Damages: append([]Damage{}, r.damages...), Foreign: r.foreign,
	}
	for _, s := range r.segments {
		report.Bytes += s.bytes
		report.Segments = append(report.Segments, SegmentInfo{s.path, s.bytes, s.unacked})
	}
	var volume packet.Volume
	for b := range r.index.each {
		volume = volume.Plus(b.volume)
	}
	report.Undelivered = Undelivered{Packets: volume.Packets, Messages: volume.Messages, Bytes: volume.Bytes}
	if oldest := r.index.oldest(); oldest != 0 {
		accepted := time.Unix(0, oldest).UTC()
		report.Undelivered.Oldest = &accepted
	}
	return report
}

// undelivered calls visit for each valid unacknowledged packet and returns the number
// of invalid ones. It skips segments that were removed after the replay.
func (r *replay) undelivered(visit func(record) error) (unusable int64, err error) {
	reader := blockReader{files: r.files}
	defer reader.close()
	for b := range r.index.each {
		readErr := reader.read(b, func(found item) {
			if _, checkErr := packet.Recheck(found.body, int(found.messages)); checkErr != nil {
				unusable++
			} else if err == nil {
				err = visit(found.record)
			}
		})
		if err != nil {
			return unusable, err
		}
		if readErr != nil && !isNotExist(readErr) {
			return unusable, readErr
		}
	}
	return unusable, nil
}

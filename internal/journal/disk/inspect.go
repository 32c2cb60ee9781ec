package disk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Report is what is in a journal.
type Report struct {
	Dir           string        `json:"dir"`
	FormatVersion int           `json:"format_version"`
	Segments      []SegmentInfo `json:"segments"`
	Bytes         int64         `json:"bytes"`
	// Packets counts the records of packets, delivered or not.
	Packets int64 `json:"packets"`
	// Undelivered are the packets that a start would deliver.
	Undelivered Undelivered `json:"undelivered"`
	// NextSequence is what the next accepted packet will get.
	NextSequence uint64   `json:"next_sequence"`
	Damages      []Damage `json:"damages"`
	// Foreign are files that are not read, since they are no segments.
	Foreign []Foreign `json:"foreign,omitempty"`
}

// SegmentInfo is one file of a journal.
type SegmentInfo struct {
	Path        string `json:"path"`
	Bytes       int64  `json:"bytes"`
	Undelivered int64  `json:"undelivered_packets"`
}

// Undelivered is how much waits in a journal.
type Undelivered struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"` // of the packets' bodies
	// Oldest is when the oldest of them was accepted, nil when there is none.
	Oldest *time.Time `json:"oldest,omitempty"`
}

// LostPackets is how many undelivered packets cannot be read any more.
func (r Report) LostPackets() int64 {
	var lost int64
	for _, d := range r.Damages {
		lost += d.Packets
	}
	return lost
}

// Inspect reads the journal of a data directory and checks the checksum of
// every record. It changes nothing, takes no lock and may be used while a
// distributor runs: then the report is of about now.
func Inspect(dir string) (Report, error) {
	found, err := readStable(dir)
	if err != nil {
		return Report{}, err
	}
	return found.report(), nil
}

// Verify does what Inspect does and also checks that every undelivered packet
// is one. The error tells what is wrong, in one line; it is nil when nothing
// is lost and all could be read.
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

// verdict is nil when nothing is lost and all could be read.
func (r Report) err(unusable int64) error {
	if lost := r.LostPackets(); lost > 0 || unusable > 0 {
		return fmt.Errorf("%s: %d undelivered packets are lost to damage and %d cannot be used", r.Dir, lost, unusable)
	}
	for _, d := range r.Damages {
		if d.Unread {
			return fmt.Errorf("%s: a part cannot be read at offset %d: %s", d.Segment, d.Offset, d.Reason)
		}
	}
	return nil
}

// Export writes the undelivered packets of a data directory, one a line, in the
// order of their sequences, and returns how many it wrote. A packet that was
// sent on several lines is put on one; others are written as they are.
// Packets that cannot be used are left out and make the error not nil. It may
// be used while a distributor runs.
func Export(dir string, w io.Writer) (int64, error) {
	found, err := readStable(dir)
	if err != nil {
		return 0, err
	}
	var written int64
	var line bytes.Buffer
	unusable, err := found.undelivered(func(r record) error {
		line.Reset()
		if bytes.ContainsAny(r.body, "\r\n") {
			if err := json.Compact(&line, r.body); err != nil {
				return err
			}
		} else {
			line.Write(r.body)
		}
		line.WriteByte('\n')
		written++
		_, err := w.Write(line.Bytes())
		return err
	})
	if err == nil {
		err = found.report().err(unusable)
	}
	return written, err
}

// look reads a journal. What a distributor is writing at that moment looks like
// damage, so damage counts when it is still there after a while.
func readStable(dir string) (*replay, error) {
	return readTwice(osFiles{}, dir, func() { time.Sleep(rereadDelay) })
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

// undelivered calls visit for each packet that is not acknowledged and is one,
// and returns how many are none. Segments that went meanwhile were delivered.
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

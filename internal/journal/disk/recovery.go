package disk

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/worker"
)

const (
	segmentsDir   = "journal"
	quarantineDir = "quarantine"
	// LockFile is the file in the data directory that a process locks while it uses the directory.
	LockFile = "lock"
)

// Open creates and locks the directory, replays the segments and starts the journal,
// which then accepts packets and reads the backlog in the background.
//
// Damage never fails Open. It fails if the directory or a segment cannot be opened, if
// another process holds the lock (*datafile.LockedError), or if a newer version wrote a segment
// (*VersionError).
func Open(config Config, deps Dependencies) (*Journal, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if deps.files == nil {
		deps.files = &osFiles{}
	}
	dir := filepath.Join(config.Dir, segmentsDir)
	if err := deps.files.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("create the journal's directory: %w", err)
	}
	lock, err := takeLock(filepath.Join(config.Dir, LockFile), deps)
	if err != nil {
		return nil, err
	}
	j, err := open(config, deps, dir, lock)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return j, nil
}

// takeLock locks the data directory. It quarantines a file at path that is not regular.
func takeLock(path string, deps Dependencies) (directoryLock, error) {
	lock, err := deps.files.Lock(path)
	if err == nil {
		return lock, nil
	}
	renamed, failure := datafile.SetAside(err)
	if failure != nil {
		return nil, failure
	}
	deps.Logger.Warn("what is in the place of the data directory's lock is quarantined unread", "file", renamed, "error", err)
	return deps.files.Lock(path)
}

func open(config Config, deps Dependencies, dir string, lock directoryLock) (*Journal, error) {
	j := &Journal{
		config: config, segmentBytes: deps.segmentBytes, logger: deps.Logger, pool: deps.Pool, files: deps.files, dir: dir, lock: lock,
		quarantine: &quarantine{files: deps.files, dir: filepath.Join(config.Dir, quarantineDir)},
		ready:      worker.NewSignal(),
		committing: worker.New(), compacting: worker.New(),
		lastFetched: residentBacklog, deliveryChans: make(deliveryChans),
	}
	j.requests.New = func() any { return new(request) }
	j.Appender = journal.NewAppender(j.submit)
	started := time.Now()
	found := &replay{files: deps.files, dir: dir, footers: true}
	if err := found.run(); err != nil {
		return nil, err
	}
	registry := metric.On(deps.Registerer)
	j.metrics = newMetrics(registry)
	j.quarantineForeign(found)
	j.reportDamages(found)
	j.trim(found)
	j.adopt(found)
	j.registerGauges(registry)
	if err := registry.Err(); err != nil {
		return nil, fmt.Errorf("register the journal's metrics: %w", err)
	}
	if left := j.stats.Queued; left.Packets > 0 {
		deps.Logger.Info("the journal has undelivered packets",
			"packets", left.Packets, "messages", left.Messages, "bytes", left.Bytes, "read_in", time.Since(started))
	}
	j.start(found)
	return j, nil
}

// adopt takes over the result of the replay.
func (j *Journal) adopt(found *replay) {
	j.index = found.index
	j.segments = found.segments
	for _, s := range j.segments {
		j.bytes += s.bytes
	}
	for b := range j.index.each {
		j.backlog.Push(b)
		j.stats.Queued = j.stats.Queued.Plus(b.volume)
		j.liveBytes += b.records
	}
	j.stats.Accepted = j.stats.Queued
}

// start begins a segment and starts the goroutines. If the segment cannot be begun, the
// journal starts unwritable.
func (j *Journal) start(found *replay) {
	a := appender{files: j.files, dir: j.dir, segmentBytes: j.segmentBytesLocked()}
	if n := len(found.segments); n > 0 {
		a.number = found.segments[n-1].number
	}
	j.firstOfRun = max(1, found.next)
	c := newCommitter(j, a, j.firstOfRun)
	if err := c.begin(c.next, 0); err != nil {
		c.fail(err)
	}
	j.retireLocked()
	k := newCompactor(j)
	j.committing.Go(c.run)
	j.compacting.Go(k.run)
	j.compacting.Wake()
}

// reportDamages quarantines damaged parts, and logs and counts the lost packets.
func (j *Journal) reportDamages(found *replay) {
	for _, d := range found.damages {
		if d.Unfinished {
			j.logger.Warn("an incomplete write at the end of the journal was truncated, as after a crash", d.attributes()...)
			found.segments[len(found.segments)-1].bytes = d.Offset
			continue
		}
		fresh, _ := j.setAside(d)
		if d.Packets == 0 {
			if fresh {
				j.logger.Warn(noneLost, d.attributes()...)
			}
			continue
		}
		if fresh {
			j.metrics.quarantined.Add(float64(d.Packets))
			j.quarantined = j.quarantined.Plus(packet.Volume{Packets: d.Packets, Bytes: d.Bytes})
		}
		j.logger.Error("accepted packets are lost to damage in the journal",
			append(d.attributes(), "packets", d.Packets, "first_sequence", d.First, "last_sequence", d.Last)...)
	}
}

const noneLost = "a part of the journal is damaged; no packet is known to be lost"

// setAside copies a damaged part to the quarantine; fresh is false if an earlier start did so.
func (j *Journal) setAside(d Damage) (fresh bool, err error) {
	fresh, err = j.quarantine.add(d)
	if err != nil {
		j.logger.Warn("a damaged part of the journal cannot be copied to the quarantine", "segment", d.Segment, "offset", d.Offset, "error", err)
	}
	return fresh, err
}

// quarantineForeign quarantines files with a segment's suffix that are not segments.
func (j *Journal) quarantineForeign(found *replay) {
	for _, f := range found.foreign {
		err := j.quarantine.addFile(f.Path)
		j.logger.Warn("a file in the journal's directory is not one of its segments and is quarantined unread; if packets are missing, inspect it while the distributor is stopped",
			"file", f.Path, "reason", f.Reason, "error", err)
	}
}

// trim truncates segments after their last record, which removes incomplete writes and
// unused blocks.
func (j *Journal) trim(found *replay) {
	for _, s := range found.segments {
		if s.size <= s.bytes || s.unread {
			continue
		}
		if err := j.files.Truncate(s.path, s.bytes); err != nil {
			j.logger.Warn("the unused end of a segment cannot be truncated and is ignored", "segment", s.path, "error", err)
		}
	}
}

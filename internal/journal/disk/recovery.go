package disk

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	segmentsDir   = "journal"
	quarantineDir = "quarantine"
	lockFile      = "lock"
)

// Open locks the directory, makes it if need be, finds what an earlier run left
// and starts the journal. It is ready to take packets when Open returns; what
// was left is read into memory in the background.
//
// Damage in the journal never fails Open. It fails when the directory or one of
// its segments cannot be opened, is held by another process (*LockedError), or was
// written by a newer program (*VersionError).
func Open(config Config, deps Deps) (*Journal, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if deps.files == nil {
		deps.files = osFiles{}
	}
	if deps.segmentBytes == 0 {
		deps.segmentBytes = config.segmentBytes()
	}
	dir := filepath.Join(config.Dir, segmentsDir)
	if err := deps.files.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("make the journal's directory: %w", err)
	}
	lock, err := deps.files.Lock(filepath.Join(config.Dir, lockFile))
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

func open(config Config, deps Deps, dir string, lock directoryLock) (*Journal, error) {
	j := &Journal{
		config: config, logger: deps.Logger, pool: deps.Pool, files: deps.files, dir: dir, lock: lock,
		quarantine: &quarantine{files: deps.files, dir: filepath.Join(config.Dir, quarantineDir)},
		ready:      make(chan struct{}, 1),
		committing: newLoop(), compacting: newLoop(),
		lastFetched: residentBacklog, deliveryChans: make(deliveryChans),
	}
	j.requests.New = func() any { return new(request) }
	j.syncWaiters.New = func() any { return make(syncWaiter, 1) }
	started := time.Now()
	found := &replay{files: deps.files, dir: dir}
	if err := found.run(); err != nil {
		return nil, err
	}
	j.metrics = newMetrics()
	j.quarantineForeign(found)
	j.reportDamages(found)
	j.trim(found)
	j.adopt(found)
	if err := j.register(deps.Registerer); err != nil {
		return nil, err
	}
	if left := j.stats.Queued; left.Packets > 0 {
		deps.Logger.Info("the journal holds packets that were not delivered",
			"packets", left.Packets, "messages", left.Messages, "bytes", left.Bytes, "read_in", time.Since(started))
	}
	j.start(found, deps.segmentBytes)
	return j, nil
}

// adopt makes what was found the journal's.
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

// start begins a segment and starts the goroutines. A disk that refuses the
// segment makes the journal unwritable, not unusable.
func (j *Journal) start(found *replay, segmentBytes int64) {
	a := appender{files: j.files, dir: j.dir, segmentBytes: segmentBytes}
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
	j.committing.running.Go(c.run)
	j.compacting.running.Go(k.run)
	j.compacting.wake()
}

// reportDamages sets damaged parts aside and says what is lost.
func (j *Journal) reportDamages(found *replay) {
	for _, d := range found.damages {
		attributes := []any{"segment", d.Segment, "offset", d.Offset, "bytes", d.Bytes, "reason", d.Reason}
		if d.Unfinished {
			j.logger.Warn("the end of the journal was cut off, as a crash leaves it", attributes...)
			found.segments[len(found.segments)-1].bytes = d.Offset
			continue
		}
		fresh, err := j.quarantine.add(d)
		if err != nil {
			j.logger.Warn("a damaged part of the journal cannot be kept for inspection", "segment", d.Segment, "offset", d.Offset, "error", err)
		}
		switch {
		case d.Packets == 0 && fresh:
			j.logger.Warn("a part of the journal is damaged; no packet is known to be lost with it", attributes...)
		case d.Packets > 0:
			if fresh {
				j.metrics.quarantined.Add(float64(d.Packets))
				j.quarantined = j.quarantined.Plus(packet.Volume{Packets: d.Packets, Bytes: d.Bytes})
			}
			j.logger.Error("accepted packets are lost to damage in the journal",
				append(attributes, "packets", d.Packets, "first_sequence", d.First, "last_sequence", d.Last)...)
		}
	}
}

// setAsideForeign moves what has a segment's name and is none to the quarantine.
func (j *Journal) quarantineForeign(found *replay) {
	for _, f := range found.foreign {
		err := j.quarantine.addFile(f.Path)
		j.logger.Warn("a file in the journal's folder is not one of its segments and is set aside, unread; if packets are missing, look at it with the distributor stopped",
			"file", f.Path, "reason", f.Reason, "error", err)
	}
}

// trim cuts segments off behind their last record: an unfinished record and
// room that was reserved and not used.
func (j *Journal) trim(found *replay) {
	for _, s := range found.segments {
		if s.size <= s.bytes || s.unread {
			continue
		}
		if err := j.files.Truncate(s.path, s.bytes); err != nil {
			j.logger.Warn("the unused end of a segment cannot be cut off and is ignored", "segment", s.path, "error", err)
		}
	}
}

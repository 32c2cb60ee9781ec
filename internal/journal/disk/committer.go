package disk

import (
	"context"
	"fmt"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// The limits of a group commit; a larger Append is committed alone. Requests are collected while
// the previous commit syncs: there is no commit timer.
const (
	packetsPerCommit = 4096
	bytesPerCommit   = 4 << 20
	acksPerRecord    = 4096
	// bytesPerWrite bounds the memory of a commit in addition to its packets: a larger commit has
	// several writes.
	bytesPerWrite = 2 * bytesPerCommit
	// acksDelay is the time after which acknowledgements are written without a
	// commit, and without a sync.
	acksDelay = 100 * time.Millisecond
)

// request is a pending AppendAsync.
type request struct {
	packets []*packet.Packet
	bytes   int64
	waiter  journal.Waiter
}

// commit is the unit of one write.
type commit struct {
	requests   []*request
	packets    int
	bytes      int64 // promised by the requests
	rewrite    *rewrite
	acked      []uint64
	newSegment bool // begin a new segment, so that the old one can be removed
}

func (c *commit) isEmpty() bool {
	return len(c.requests) == 0 && c.rewrite == nil && len(c.acked) == 0
}

// mustSync reports whether the commit has waiters for stable storage.
func (c *commit) mustSync() bool { return len(c.requests) > 0 || c.rewrite != nil }

// committer is the only goroutine that writes to segments.
type committer struct {
	journal  *Journal
	appender appender
	next     uint64 // the sequence of the next packet
	head     []byte // of a packet's record
	acksText []byte // the record of the commit's acknowledgements
	ranges   []sequenceRange
	commit   commit

	acks       *time.Timer // runs while acknowledgements wait
	acksDue    bool        // acknowledgements have waited for acksDelay
	retry      *time.Timer // runs while the journal is unwritable
	retryDelay time.Duration
	checks     *time.Ticker // checks whether the segment is still at its path, even while nothing is written
}

func newCommitter(j *Journal, appender appender, next uint64) *committer {
	c := &committer{journal: j, appender: appender, next: next, checks: time.NewTicker(checkInterval)}
	c.acks, c.retry = time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	c.acks.Stop()
	c.retry.Stop()
	return c
}

// run commits until the journal closes; it then commits pending packets and acknowledgements.
func (c *committer) run(ctx context.Context) {
	for ctx.Err() == nil {
		for c.collect(c.acksDue) {
			c.write()
		}
		select {
		case <-c.journal.committing.Woken():
		case <-ctx.Done():
		case <-c.acks.C:
			c.acksDue = true
		case <-c.retry.C:
			c.retryWrite()
		case <-c.checks.C:
			c.check()
		}
	}
	for c.collect(true) {
		c.write()
	}
	c.close()
}

// close stops the timers and ends the active segment.
func (c *committer) close() {
	c.acks.Stop()
	c.retry.Stop()
	c.checks.Stop()
	c.seal()
	if err := c.appender.close(); err != nil {
		c.journal.metrics.writeErrors.Inc()
		c.journal.logger.Warn("the last acknowledgements may be lost, and their packets sent twice", "error", err)
	}
}

// collect moves pending work into the commit and reports whether there is any.
// Acknowledgements without other work need acksAlone or acksPerRecord of them.
func (c *committer) collect(acksAlone bool) bool {
	j := c.journal
	c.commit = commit{requests: c.commit.requests[:0], acked: c.commit.acked[:0]}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unwritable != nil {
		return false
	}
	taken := 0
	for _, r := range j.pending {
		if taken > 0 && (c.commit.packets+len(r.packets) > packetsPerCommit || c.commit.bytes+r.bytes > bytesPerCommit) {
			break
		}
		c.commit.requests = append(c.commit.requests, r)
		c.commit.packets += len(r.packets)
		c.commit.bytes += r.bytes
		taken++
	}
	rest := copy(j.pending, j.pending[taken:])
	clear(j.pending[rest:])
	j.pending = j.pending[:rest]
	c.commit.rewrite, j.rewrite = j.rewrite, nil
	if c.commit.mustSync() || acksAlone || len(j.acked) >= acksPerRecord {
		j.acked, c.commit.acked = c.commit.acked, j.acked
	} else if len(j.acked) > 0 {
		c.acks.Reset(acksDelay)
	}
	c.acksDue = false
	c.appender.segmentBytes = j.segmentBytesLocked()
	c.commit.newSegment = j.usedLocked() == 0 && j.bytesLocked()+j.reserved > j.config.MaxBytes
	return !c.commit.isEmpty()
}

// write writes the commit and notifies its waiters.
func (c *committer) write() {
	first := c.next
	offset, err := c.append(first)
	if err != nil {
		c.next = first
		c.fail(err)
		return
	}
	if len(c.commit.acked) > 0 {
		c.acks.Stop()
	}
	c.journal.committed(&c.commit, c.appender.segment, offset, c.appender.size)
	for _, r := range c.commit.requests {
		c.journal.complete(r, nil)
	}
	if c.commit.rewrite != nil {
		c.commit.rewrite.done <- nil
	}
}

// encodeAcks encodes the acknowledgements of the commit.
func (c *committer) encodeAcks() {
	c.acksText = c.acksText[:0]
	if len(c.commit.acked) > 0 {
		c.ranges = rangesOf(c.ranges[:0], c.commit.acked)
		c.acksText = appendAcks(c.acksText, c.ranges, c.next+uint64(c.commit.packets))
	}
}

// putRecords appends the records of the commit and assigns sequences. Packets of a rewrite are
// not acknowledged in the same commit: after a torn write the acknowledgement could be on disk
// without the copy.
func (c *committer) putRecords() error {
	if r := c.commit.rewrite; r != nil {
		if err := c.appender.put(r.records); err != nil {
			return err
		}
		c.appender.footer.addCopies(r.copies)
	}
	for _, r := range c.commit.requests {
		for _, p := range r.packets {
			p.Sequence = c.next
			c.next++
			c.head = appendPacketHead(c.head[:0], p)
			if err := c.appender.put(c.head); err != nil {
				return err
			}
			if err := c.appender.put(p.Body); err != nil {
				return err
			}
			c.appender.footer.addPacket(p, int64(len(c.head)+len(p.Body)))
		}
	}
	c.appender.footer.addAcks(c.acksText)
	return c.appender.put(c.acksText)
}

func (c *committer) append(first uint64) (offset int64, err error) {
	a := &c.appender
	c.encodeAcks()
	size := c.commit.bytes + int64(len(c.acksText))
	if c.commit.rewrite != nil {
		size += int64(len(c.commit.rewrite.records))
	}
	if !a.fits(size) || c.commit.newSegment && a.size > segmentHeaderBytes {
		if err := c.begin(first, segmentHeaderBytes+size); err != nil {
			return 0, err
		}
	}
	before := a.size
	started := time.Now()
	if err = c.putRecords(); err == nil {
		err = a.flush(c.commit.mustSync())
	}
	if c.commit.mustSync() {
		c.journal.metrics.sync.Observe(time.Since(started).Seconds())
	}
	if err != nil {
		a.abandon()
		return 0, err
	}
	c.journal.metrics.commits.Inc()
	return before, nil
}

// begin begins the next segment and adds it to the journal's segments, so that it is removed in
// order even if no write to it succeeds.
func (c *committer) begin(first uint64, size int64) error {
	c.seal()
	if err := c.appender.begin(first, size); err != nil {
		return err
	}
	j := c.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	j.grownLocked(c.appender.segment, c.appender.size)
	return nil
}

// seal writes the footer of the active segment, if there is one.
func (c *committer) seal() {
	a := &c.appender
	if a.segment == nil {
		return
	}
	a.seal()
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	c.journal.grownLocked(a.segment, a.size)
}

const (
	minRetryDelay = 100 * time.Millisecond
	maxRetryDelay = 5 * time.Second
	checkInterval = time.Second
)

// check makes the journal unwritable if the active segment is no longer at its path: the next start
// would not find the records in it.
func (c *committer) check() {
	if err := c.appender.check(); err != nil {
		c.commit = commit{}
		c.fail(err)
	}
}

// fail refuses the commit and all pending requests, and makes the journal unwritable
// until a segment can be begun.
func (c *committer) fail(cause error) {
	j := c.journal
	err := fmt.Errorf("%w: %w", journal.ErrUnwritable, cause)
	j.metrics.writeErrors.Inc()
	j.logger.Error("the journal cannot be written: new packets are refused, stored packets are still delivered", "error", cause)
	c.retryDelay = minRetryDelay
	c.retry.Reset(c.retryDelay)
	j.mu.Lock()
	j.unwritable = err
	j.active = nil
	refused := append(c.commit.requests, j.pending...)
	moving := j.rewrite
	if c.commit.rewrite != nil {
		moving = c.commit.rewrite
	}
	j.rewrite = nil
	clear(j.pending)
	j.pending = j.pending[:0]
	j.reserved = 0
	j.acked = append(j.acked, c.commit.acked...)
	for _, r := range refused {
		for _, p := range r.packets {
			j.releaseQuotaLocked(p)
		}
	}
	j.mu.Unlock()
	for _, r := range refused {
		j.complete(r, err)
	}
	if moving != nil {
		moving.done <- err
	}
}

// reopen begins a segment after a failure, and recreates the segments' directory if it
// was removed. It fails while the lock file is not at its path, as another process may
// then lock the data directory.
func (c *committer) reopen() error {
	if err := c.journal.lock.Check(); err != nil {
		return err
	}
	if err := c.journal.files.MakeDir(c.journal.dir); err != nil {
		return err
	}
	return c.begin(c.next, 0)
}

// retryWrite ends the unwritable state if a segment can be begun.
func (c *committer) retryWrite() {
	j := c.journal
	if err := c.reopen(); err != nil {
		j.metrics.writeErrors.Inc()
		c.retryDelay = min(2*c.retryDelay, maxRetryDelay)
		c.retry.Reset(c.retryDelay)
		return
	}
	j.logger.Info("the journal is writable again")
	j.mu.Lock()
	j.unwritable = nil
	j.mu.Unlock()
}

package emitter

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/worker"
)

const (
	// pollInterval is the poll interval of followed files.
	pollInterval = 200 * time.Millisecond
	// retireAfter is the time for which a file that no path names is still read, for writers that
	// still have it open.
	retireAfter = time.Minute
	// maxReadyPackets and maxReadyBytes bound the packets that are made before the checkpoint is
	// written, and maxPacketsPerFile bounds those of one file among them.
	maxReadyPackets   = 64
	maxReadyBytes     = 8 << 20
	maxPacketsPerFile = 16
)

// followSource makes packets of files as they grow. It writes the spans of packets to the
// checkpoint before it sends the packets, so that after a restart it makes packets that were not
// completed again, with the same ids and bytes, by which the distributor recognises them. Between
// two polls it holds only the position of each file.
type followSource struct {
	logger     *slog.Logger
	patterns   []string
	checkpoint string   // path; empty: none
	lock       *os.File // unless nil, keeps other processes from the checkpoint
	runID      string
	cutter     packetizer
	sizes      *Sizes

	tails    []*tail
	made     int               // by the ids of the tails
	problems map[string]string // why paths are not followed
	// discovered is the time of the latest check of the paths.
	discovered time.Time
	// replay holds the packets that the previous run did not complete.
	replay []replayed
	// ready holds packets that are in the checkpoint.
	ready []*outgoing
	// unsaved is set when positions changed since the checkpoint was written, and
	// unwritable while that fails.
	unsaved, unwritable bool
}

type replayed struct {
	tail *tail
	span *span
}

func newFollowSource(config Config, firstLine *regexp.Regexp, envelope *envelope, sizes *Sizes, logger *slog.Logger) (*followSource, error) {
	patterns, err := parsePatterns(config.File)
	if err != nil {
		return nil, err
	}
	s := &followSource{
		logger: logger, patterns: patterns, checkpoint: config.Checkpoint, runID: envelope.runID, sizes: sizes,
		cutter: packetizer{newFileSource(nil, parser{}, firstLine, envelope, sizes)},
	}
	if s.checkpoint != "" {
		if err := s.openCheckpoint(); err != nil {
			return nil, err
		}
	}
	for _, path := range s.paths() {
		if _, err := s.visit(path, time.Now()); err != nil && s.isLiteral(path) && !isPassing(err) {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// isPassing reports whether a file may be followed later that cannot be followed for a reason.
func isPassing(reason error) bool {
	return errors.Is(reason, os.ErrNotExist) || errors.Is(reason, os.ErrPermission) || errors.Is(reason, errCopy)
}

// newTail follows a file from its beginning.
func (s *followSource) newTail(path string, file *os.File, info os.FileInfo, id identity, now time.Time) *tail {
	return s.follow(&fileState{Path: path, identity: id, ID: s.nextID()}, file, info, now)
}

func (s *followSource) follow(state *fileState, file *os.File, info os.FileInfo, now time.Time) *tail {
	t := &tail{state: state, file: file, info: info, parser: newParser(state.Path, time.Time{}), grown: now}
	s.tails = append(s.tails, t)
	s.unsaved = true
	return t
}

// nextID returns the id of a file: packet ids of different files and runs differ.
func (s *followSource) nextID() string {
	s.made++
	return s.runID + "-" + strconv.Itoa(s.made)
}

func (s *followSource) next(ctx context.Context, p *outgoing) error {
	for {
		if err := ctx.Err(); err != nil {
			s.readRest(p)
			return err
		}
		if s.takeReady(p) {
			return nil
		}
		now := time.Now()
		s.collect(now)
		s.save()
		if len(s.ready) > 0 {
			continue
		}
		wait := s.untilNextPoll(now)
		if !worker.Sleep(ctx, wait) {
			continue
		}
		p.waited += wait
	}
}

func (s *followSource) takeReady(p *outgoing) bool {
	if len(s.ready) == 0 {
		return false
	}
	waited := p.waited
	*p = *s.ready[0]
	p.waited = waited
	s.ready[0] = nil
	s.ready = s.ready[1:]
	return true
}

// readRest fills p with the remaining lines of the first file that has any, unless the next run
// reads the file.
func (s *followSource) readRest(p *outgoing) {
	if s.checkpoint != "" || s.takeReady(p) || len(s.tails) == 0 {
		return
	}
	for _, t := range s.tails {
		if made := s.cut(t, time.Now(), everything); made != nil {
			s.ready = append(s.ready, made)
			s.takeReady(p)
			return
		}
	}
}

// untilNextPoll returns the time until the next check of a file.
func (s *followSource) untilNextPoll(now time.Time) time.Duration {
	wait := pollInterval
	for _, t := range s.tails {
		if !t.nextPoll.IsZero() {
			wait = min(wait, max(t.nextPoll.Sub(now), time.Millisecond))
		}
	}
	return wait
}

// collect makes packets of the new lines of the files, up to the limits of ready.
func (s *followSource) collect(now time.Time) {
	bytes := 0
	add := func(p *outgoing) (more bool) {
		s.ready = append(s.ready, p)
		bytes += len(p.body)
		return len(s.ready) < maxReadyPackets && bytes < maxReadyBytes
	}
	changed := s.detectChanges(now)
	if s.collectReplay(now, add) {
		return
	}
	for _, t := range changed {
		for range maxPacketsPerFile {
			p := s.cut(t, now, s.flushMode(t, now))
			if p == nil {
				break
			}
			if !add(p) {
				s.rotateTails()
				return
			}
		}
	}
	s.retire(now)
}

// collectReplay makes packets of the previous run, and reports whether add wants no more. Packets
// whose files cannot be read remain.
func (s *followSource) collectReplay(now time.Time, add func(*outgoing) (more bool)) (full bool) {
	waiting := s.replay
	s.replay = nil
	for n, r := range waiting {
		p, failure := s.again(r)
		if s.note(r.tail, now, failure); failure != nil {
			s.replay = append(s.replay, r)
			continue
		}
		if p != nil && !add(p) {
			s.replay = append(s.replay, waiting[n+1:]...)
			return true
		}
	}
	return false
}

// note logs once that a file cannot be read further, and once that it can be read again. Until then
// the file is read again at each poll.
func (s *followSource) note(t *tail, now time.Time, failure error) {
	switch {
	case failure != nil && !t.failing:
		s.logger.Error("a file cannot be read further; what is behind is sent once it can be", "file", t.state.Path, "read_bytes", t.state.Offset, "error", failure)
	case failure == nil && t.failing:
		s.logger.Info("a file can be read again", "file", t.state.Path)
	}
	if t.failing = failure != nil; t.failing {
		t.nextPoll = now.Add(pollInterval)
	}
}

// detectChanges updates the state of the files, and returns those that may have lines to send.
func (s *followSource) detectChanges(now time.Time) (changed []*tail) {
	s.dropCopies()
	for _, t := range s.tails {
		s.detectTruncation(t, now)
	}
	if now.Sub(s.discovered) >= pollInterval {
		s.discovered = now
		s.discover(now)
	}
	for _, t := range s.tails {
		if s.refresh(t, now) {
			changed = append(changed, t)
			t.nextPoll = now // until it is read
		}
	}
	return changed
}

// rotateTails makes another file the first, so that each file is read.
func (s *followSource) rotateTails() {
	s.tails = append(s.tails[1:], s.tails[0])
}

// again makes a packet of the previous run, with the same bytes, or none if the file cannot be
// read.
func (s *followSource) again(r replayed) (p *outgoing, failure error) {
	p = &outgoing{span: r.span}
	end := r.span.End
	if _, _, failure := s.cutter.cut(r.tail, r.span, end, maxPacketMessages, everything, p); failure != nil {
		r.span.End = end
		return nil, failure
	}
	if len(p.body) == 0 {
		r.span.done.Store(true)
		return nil, nil
	}
	return p, nil
}

// detectTruncation follows a file from its beginning if it was truncated.
func (s *followSource) detectTruncation(t *tail, now time.Time) {
	info, err := t.file.Stat()
	if err == nil && t.hasChanged(info) && t.isTruncated(info.Size()) {
		s.restart(t, now)
	}
}

// refresh records the growth of a file, and reports whether it may have lines to send.
func (s *followSource) refresh(t *tail, now time.Time) bool {
	if info, err := t.file.Stat(); err == nil && t.hasChanged(info) {
		t.seen, t.modified, t.grown = info.Size(), info.ModTime(), now
		if t.state.Fingerprint.Bytes < fingerprintBytes {
			if f, err := fingerprintOf(t.file, fingerprintBytes); err == nil {
				t.state.Fingerprint, s.unsaved = f, true
			}
		}
		return true
	}
	return !t.nextPoll.IsZero() && !t.nextPoll.After(now)
}

// restart follows a truncated file from its beginning. It reads the lines that were not read before
// from the copy that rotation has made, if there is one.
func (s *followSource) restart(t *tail, now time.Time) {
	old := t.state
	t.state = &fileState{Path: old.Path, identity: old.identity, ID: s.nextID()}
	t.size, t.seen, t.nextPoll, t.waiting, t.grown = 0, 0, now, time.Time{}, now
	s.unsaved = true
	file, info, id, found := s.relocate(old)
	if !found {
		s.logger.Warn("a file was truncated, and no copy of it was found; what was not read of it is missing", "file", old.Path, "read_bytes", old.Offset)
		return
	}
	s.logger.Info("a file was truncated; the rest is read from a copy", "file", old.Path, "copy", file.Name())
	old.Path, old.identity = file.Name(), id
	s.follow(old, file, info, now)
}

// flushMode returns which unfinished lines at the end of a file become part of a packet.
func (s *followSource) flushMode(t *tail, now time.Time) flush {
	switch {
	case now.Sub(t.grown) < recordWait:
		return completeRecords
	case t.gone.IsZero():
		return completeLines
	default:
		return everything
	}
}

// cut makes the next packet of a file, or returns nil.
func (s *followSource) cut(t *tail, now time.Time, how flush) *outgoing {
	t.nextPoll = time.Time{}
	if t.size == 0 {
		t.size = s.sizes.Next()
	}
	p := &outgoing{}
	made := &span{position: t.state.position, Now: now.UnixMilli()}
	next, full, failure := s.cutter.cut(t, made, t.limit(), t.size, how, p)
	defer func() { s.note(t, now, failure) }()
	if next.Offset == t.state.Offset && next.MidLine == t.state.MidLine || !full && !s.isDue(t, now, how, p) {
		if t.nextPoll.IsZero() && how == completeRecords {
			t.nextPoll = t.grown.Add(recordWait)
		}
		return nil
	}
	t.state.position, t.size, t.waiting, t.nextPoll = next, 0, time.Time{}, now // there may be more
	s.unsaved = true
	if len(p.body) > 0 {
		p.span = made
		t.state.Open = append(t.state.Open, made)
	}
	return p
}

// isDue reports whether a packet that is not full is sent now; otherwise it sets the time of the
// next read of the file.
func (s *followSource) isDue(t *tail, now time.Time, how flush, p *outgoing) bool {
	if how == everything || p.messages == 0 && p.lines.read == 0 {
		return true
	}
	if t.waiting.IsZero() {
		t.waiting = now
	}
	due := t.waiting.Add(flushAfter)
	if due.After(now) {
		t.nextPoll = due
		return false
	}
	return true
}

// retire closes files that no path names, when they have been sent and have not grown for
// retireAfter.
func (s *followSource) retire(now time.Time) {
	s.tails = slices.DeleteFunc(s.tails, func(t *tail) bool {
		if t.gone.IsZero() || now.Sub(laterOf(t.gone, t.grown)) < retireAfter || t.state.hasOpen() {
			return false
		}
		_ = t.file.Close() // the file was only read
		s.unsaved = true
		return true
	})
}

// close writes the checkpoint for the last time.
func (s *followSource) close() error {
	s.save()
	var err error
	for _, t := range s.tails {
		err = errors.Join(err, t.file.Close())
	}
	err = errors.Join(err, s.unlock())
	if s.unwritable {
		err = errors.Join(err, errors.New("checkpoint: "+s.checkpoint+" could not be written; the next run may send something twice"))
	}
	return err
}

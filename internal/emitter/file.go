package emitter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"regexp"
	"time"
	"unicode/utf8"
)

const (
	// flushAfter is how long a partly filled packet waits for more lines.
	flushAfter = 200 * time.Millisecond
	// flushBytes is the packet size in bytes at which a packet is sent although
	// more messages would fit; it is well below the distributor's limit.
	flushBytes = 1 << 20
)

// fileSource converts the lines of a log to packets. Each line is a message,
// except empty lines and lines that are packets themselves.
type fileSource struct {
	in       input
	records  recordReader
	parser   parser
	envelope *envelope
	sizes    *Sizes
	// pending is a packet read as one line, which is returned next.
	pending *rawPacket
	// fillStarted is when the current packet started to wait for lines.
	fillStarted time.Time
}

func newFileSource(in input, p parser, firstLine *regexp.Regexp, envelope *envelope, sizes *Sizes) *fileSource {
	return &fileSource{in: in, records: newRecordReader(in, firstLine), parser: p, envelope: envelope, sizes: sizes}
}

func (s *fileSource) close() error { return s.in.Close() }

func (s *fileSource) next(ctx context.Context, p *outgoing) error {
	if s.takeReady(p) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.fillStarted = time.Time{}
	for size := s.sizes.Next(); p.messages < size && len(p.body) < flushBytes && s.pending == nil; {
		record, err := s.records.next()
		switch {
		case err == nil:
			s.add(p, record)
		case errors.Is(err, errNoData):
			if done, err := s.await(ctx, p); done {
				return s.finish(p, err)
			}
		default:
			return s.finish(p, err)
		}
	}
	return s.finish(p, nil)
}

// await waits until there may be more lines for p. It returns true when p has
// waited for flushAfter or, with an error, when ctx is done.
func (s *fileSource) await(ctx context.Context, p *outgoing) (done bool, err error) {
	started, wait := time.Now(), pollInterval
	if p.messages > 0 || s.records.pending() {
		if s.fillStarted.IsZero() {
			s.fillStarted = started
		}
		limit := flushAfter
		if s.records.pending() {
			limit = recordWait
		}
		wait = min(wait, limit-started.Sub(s.fillStarted))
	}
	if wait <= 0 {
		if record, ok := s.records.take(); ok {
			s.add(p, record)
		}
		return true, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		s.records.endInput()
		for record, ok := s.records.take(); ok; record, ok = s.records.take() {
			s.add(p, record)
		}
		return true, ctx.Err()
	case <-s.in.ready():
	case <-timer.C:
	}
	p.waited += time.Since(started)
	return false, nil
}

// finish completes p. When p has no messages, p becomes the pending packet, if
// any. end is deferred while a packet is pending.
func (s *fileSource) finish(p *outgoing, end error) error {
	if p.messages > 0 {
		s.envelope.close(p)
	} else {
		s.takeReady(p)
	}
	if s.pending != nil {
		return nil
	}
	return end
}

// takeReady moves the pending packet, if any, to p.
func (s *fileSource) takeReady(p *outgoing) bool {
	if s.pending == nil {
		return false
	}
	p.body = append(p.body, s.pending.body...)
	p.id = append(p.id, s.pending.id...)
	p.emitterID = s.pending.emitterID
	p.messages = s.pending.messages
	p.lines.read++
	p.lines.carried++
	s.pending = nil
	return true
}

// add appends a record to p, or makes it the pending packet.
func (s *fileSource) add(p *outgoing, r logRecord) {
	line, cut := r.text, r.cut
	if !cut && r.lines == 1 {
		if whole, ok := parsePacket(line); ok {
			s.pending = whole
			return
		}
	}
	p.lines.read += r.lines
	if len(line) > maxLineBytes {
		line, cut = wholeRunes(line[:maxLineBytes]), true
	}
	if cut {
		p.lines.truncated++
	}
	if !utf8.Valid(line) {
		line = bytes.ToValidUTF8(line, []byte(string(utf8.RuneError)))
		p.lines.repaired++
	}
	if len(bytes.TrimSpace(line)) == 0 {
		p.lines.empty += r.lines
		return
	}
	if p.messages == 0 {
		s.envelope.open(p)
	}
	s.envelope.next(p)
	p.body = s.parser.parse(string(line)).append(p.body)
	p.lines.carried += r.lines
}

func newSource(config Config, stdin io.Reader, runID string, logger *slog.Logger) (source, error) {
	sizes, err := ParseSizes(config.PacketSize, config.Seed)
	if err != nil {
		return nil, err
	}
	envelope := newEnvelope(config.EmitterID, runID)
	if config.File == "" {
		return newGenerator(envelope, sizes, config.Seed), nil
	}
	firstLine, err := compileFirstLine(config.Multiline)
	if err != nil {
		return nil, err
	}
	if config.Follow {
		return newFollowSource(config, firstLine, envelope, sizes, logger)
	}
	in, written, err := openInput(config, stdin)
	if err != nil {
		return nil, err
	}
	return newFileSource(in, newParser(config.File, written), firstLine, envelope, sizes), nil
}

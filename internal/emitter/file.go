package emitter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"
	"unicode/utf8"
)

const (
	// pollInterval is how often a followed file is looked at.
	pollInterval = 200 * time.Millisecond
	// flushAfter is how long a partly filled packet waits for more lines.
	flushAfter = 200 * time.Millisecond
	// fullPacket is the size in bytes from which a packet is sent although more
	// messages would fit, well below what a distributor accepts.
	fullPacket = 1 << 20
)

// fileSource turns the lines of a log into packets. Each line is a message,
// but for empty ones, and for lines that are packets already.
type fileSource struct {
	in       input
	lines    lineReader
	parser   parser
	envelope *envelope
	sizes    *sizes
	// ready is a packet that was read as one line and comes next.
	ready *wholePacket
	// begun is when the packet being filled first had to wait for lines.
	begun time.Time
}

func newFileSource(in input, p parser, envelope *envelope, sizes *sizes) *fileSource {
	return &fileSource{in: in, lines: lineReader{in: in}, parser: p, envelope: envelope, sizes: sizes}
}

func (s *fileSource) close() error { return s.in.Close() }

func (s *fileSource) next(ctx context.Context, p *outgoing) error {
	if s.takeReady(p) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.begun = time.Time{}
	for size := s.sizes.next(); p.messages < size && len(p.body) < fullPacket && s.ready == nil; {
		line, cut, err := s.lines.next()
		switch {
		case err == nil:
			s.add(p, line, cut)
		case errors.Is(err, errNothingYet):
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
// waited long enough, or, with an error, when ctx ended.
func (s *fileSource) await(ctx context.Context, p *outgoing) (done bool, err error) {
	started, patience := time.Now(), pollInterval
	if p.messages > 0 {
		if s.begun.IsZero() {
			s.begun = started
		}
		patience = min(patience, flushAfter-started.Sub(s.begun))
	}
	if patience <= 0 {
		return true, nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		if rest, ok := s.lines.takeRest(); ok {
			s.add(p, rest, false)
		}
		return true, ctx.Err()
	case <-s.in.arrived():
	case <-timer.C:
	}
	p.waited += time.Since(started)
	return false, nil
}

// finish completes p. When a whole packet waits behind it and p is empty, p
// becomes that packet. An end is put off while a whole packet still waits.
func (s *fileSource) finish(p *outgoing, end error) error {
	if p.messages > 0 {
		s.envelope.close(p)
	} else {
		s.takeReady(p)
	}
	if s.ready != nil {
		return nil
	}
	return end
}

// takeReady makes p the whole packet that was read, if there is one.
func (s *fileSource) takeReady(p *outgoing) bool {
	if s.ready == nil {
		return false
	}
	p.body = append(p.body, s.ready.body...)
	p.id = append(p.id, s.ready.id...)
	p.messages = s.ready.messages
	p.lines.read++
	p.lines.packed++
	s.ready = nil
	return true
}

// add makes a line part of p, or a packet of its own.
func (s *fileSource) add(p *outgoing, line []byte, cut bool) {
	if !cut {
		if whole, ok := parsePacket(line); ok {
			s.ready = whole
			return
		}
	}
	p.lines.read++
	if len(line) > maxLine {
		line, cut = wholeRunes(line[:maxLine]), true
	}
	if cut {
		p.lines.truncated++
	}
	if !utf8.Valid(line) {
		line = bytes.ToValidUTF8(line, []byte(string(utf8.RuneError)))
		p.lines.repaired++
	}
	if len(bytes.TrimSpace(line)) == 0 {
		p.lines.empty++
		return
	}
	if p.messages == 0 {
		s.envelope.open(p)
	}
	s.envelope.next(p)
	p.body = s.parser.parse(string(line)).append(p.body)
	p.lines.packed++
}

// newSource returns the source that config asks for.
func newSource(config Config, stdin io.Reader, runID string) (source, error) {
	sizes, err := parseSizes(config.PacketSize, config.Seed)
	if err != nil {
		return nil, err
	}
	envelope := newEnvelope(config.EmitterID, runID)
	if config.File == "" {
		return newGenerator(envelope, sizes, config.Seed), nil
	}
	in, written, err := openInput(config, stdin)
	if err != nil {
		return nil, err
	}
	return newFileSource(in, newParser(config.File, written), envelope, sizes), nil
}

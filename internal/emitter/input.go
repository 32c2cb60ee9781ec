package emitter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// standardInput is the file name that means Deps.Stdin, and what people call it.
const (
	standardInput     = "-"
	standardInputName = "standard input"
)

// openInput opens the log that config names. The time is what to take for
// lines that carry none, or zero when that is the time of reading.
func openInput(config Config, stdin io.Reader) (input, time.Time, error) {
	if config.File == standardInput {
		if stdin == nil {
			return nil, time.Time{}, errors.New("file: there is no standard input")
		}
		return newStream(standardInputName, stdin, nil), time.Time{}, nil
	}
	file, err := os.Open(config.File)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("file: %w", err)
	}
	in, written, err := inputOf(file, config.Follow)
	if err != nil {
		return nil, time.Time{}, errors.Join(err, file.Close())
	}
	return in, written, nil
}

func inputOf(file *os.File, follow bool) (input, time.Time, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("file: %w", err)
	}
	if info.IsDir() {
		return nil, time.Time{}, fmt.Errorf("file: %s is a directory", file.Name())
	}
	if !info.Mode().IsRegular() {
		return newStream(file.Name(), file, file), time.Time{}, nil
	}
	if follow {
		return follower(file)
	}
	content, err := text(file.Name(), file)
	return still{content, file}, info.ModTime(), err
}

// follower follows a file that is text, as far as is known.
func follower(file *os.File) (input, time.Time, error) {
	start := make([]byte, firstBlock)
	n, _ := file.ReadAt(start, 0) // what cannot be read fails when it is followed
	f, ok := formOf(start[:n])
	switch {
	case !ok:
		return &followed{path: file.Name(), file: file}, time.Time{}, nil
	case f.packed != nil:
		return nil, time.Time{}, fmt.Errorf("file: %s is %s, which cannot be followed", file.Name(), f.name)
	default:
		return nil, time.Time{}, f.refusal(file.Name())
	}
}

// still is a file that is read to its end.
type still struct {
	io.Reader
	io.Closer
}

func (still) arrived() <-chan struct{} { return nil }

// followed is a file that is read on as it grows. It notices when the file was
// truncated or when another took its place. A file that is truncated and has
// grown beyond its former size between two reads looks like one that grew.
type followed struct {
	path string
	file *os.File
	// offset is how much of file was read.
	offset int64
	// replaced is set once path was seen to name another file. The old file is
	// read once more after that, for those who still write to it.
	replaced bool
}

func (f *followed) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	if n > 0 {
		f.offset += int64(n)
		f.replaced = false
		return n, nil
	}
	if !errors.Is(err, io.EOF) {
		return 0, err
	}
	return 0, f.atEnd()
}

// atEnd decides what reaching the end of the file means.
func (f *followed) atEnd() error {
	named, err := os.Stat(f.path)
	if err != nil {
		return errNothingYet // moved away, and its successor is not there yet
	}
	current, err := f.file.Stat()
	if err != nil {
		return err
	}
	switch {
	case !os.SameFile(named, current) && !f.replaced:
		f.replaced = true
		return errNothingYet
	case f.replaced:
		return f.reopen()
	case current.Size() < f.offset:
		f.offset = 0
		if _, err := f.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return errNewFile
	default:
		return errNothingYet
	}
}

func (f *followed) reopen() error {
	file, err := os.Open(f.path)
	if err != nil {
		return errNothingYet
	}
	old := f.file
	f.file, f.offset, f.replaced = file, 0, false
	if err := old.Close(); err != nil {
		return err
	}
	return errNewFile
}

func (f *followed) Close() error             { return f.file.Close() }
func (f *followed) arrived() <-chan struct{} { return nil }

// stream reads a pipe, whose reads may block, on a goroutine of its own. That
// goroutine ends with the pipe, or at its first read after Close.
type stream struct {
	chunks chan chunk
	ready  chan struct{}
	done   chan struct{}
	rest   chunk
	closer io.Closer
}

type chunk struct {
	bytes []byte
	err   error
}

func newStream(name string, from io.Reader, closer io.Closer) *stream {
	s := &stream{
		chunks: make(chan chunk, 4),
		ready:  make(chan struct{}, 1),
		done:   make(chan struct{}),
		closer: closer,
	}
	go s.pump(name, from)
	return s
}

func (s *stream) pump(name string, from io.Reader) {
	content, err := text(name, from)
	for err == nil {
		var c chunk
		c.bytes = make([]byte, readSize)
		var n int
		n, err = content.Read(c.bytes)
		c.bytes = c.bytes[:n]
		s.hand(c)
	}
	s.hand(chunk{err: err})
}

func (s *stream) hand(c chunk) {
	select {
	case s.chunks <- c:
	case <-s.done:
		return
	}
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.rest.bytes) == 0 && s.rest.err == nil {
		select {
		case s.rest = <-s.chunks:
		default:
			return 0, errNothingYet
		}
	}
	n := copy(p, s.rest.bytes)
	s.rest.bytes = s.rest.bytes[n:]
	if n > 0 {
		return n, nil
	}
	return 0, s.rest.err
}

func (s *stream) Close() error {
	close(s.done)
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

func (s *stream) arrived() <-chan struct{} { return s.ready }

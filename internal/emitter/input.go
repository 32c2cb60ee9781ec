package emitter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// standardInput is the file name that selects Deps.Stdin, and its display name.
const (
	standardInput     = "-"
	standardInputName = "standard input"
)

// openInput opens the log that config names. The time is the timestamp of lines
// that have none, or zero to use the time of reading.
func openInput(config Config, stdin io.Reader) (input, time.Time, error) {
	if config.File == standardInput {
		if stdin == nil {
			return nil, time.Time{}, errors.New("file: there is no standard input")
		}
		return newPipe(standardInputName, stdin, nil), time.Time{}, nil
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
		return newPipe(file.Name(), file, file), time.Time{}, nil
	}
	if follow {
		return follower(file)
	}
	content, err := text(file.Name(), file)
	return staticFile{content, file}, info.ModTime(), err
}

// follower returns an input that follows a text file.
func follower(file *os.File) (input, time.Time, error) {
	start := make([]byte, sniffBytes)
	n, _ := file.ReadAt(start, 0) // a read error is returned when the file is followed
	f, ok := detectFormat(start[:n])
	switch {
	case !ok:
		return &followedFile{path: file.Name(), file: file}, time.Time{}, nil
	case f.decompress != nil:
		return nil, time.Time{}, fmt.Errorf("file: %s is %s, which cannot be followed", file.Name(), f.name)
	default:
		return nil, time.Time{}, f.refusal(file.Name())
	}
}

// staticFile is a file that is read once, to its end.
type staticFile struct {
	io.Reader
	io.Closer
}

func (staticFile) ready() <-chan struct{} { return nil }

// followedFile is a file that is read as it grows. It detects truncation and
// replacement. A file that is truncated and grows beyond its former size
// between two reads is not detected as truncated.
type followedFile struct {
	path string
	file *os.File
	// offset is the number of bytes read from file.
	offset int64
	// replaced is set once path names another file. The old file is read once
	// more after that, for writers that still have it open.
	replaced bool
}

func (f *followedFile) Read(p []byte) (int, error) {
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

// atEnd returns what the end of the file means.
func (f *followedFile) atEnd() error {
	named, err := os.Stat(f.path)
	if err != nil {
		return errNoData // moved away, not yet replaced
	}
	current, err := f.file.Stat()
	if err != nil {
		return err
	}
	switch {
	case !os.SameFile(named, current) && !f.replaced:
		f.replaced = true
		return errNoData
	case f.replaced:
		return f.reopen()
	case current.Size() < f.offset:
		f.offset = 0
		if _, err := f.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return errFileReplaced
	default:
		return errNoData
	}
}

func (f *followedFile) reopen() error {
	file, err := os.Open(f.path)
	if err != nil {
		return errNoData
	}
	old := f.file
	f.file, f.offset, f.replaced = file, 0, false
	if err := old.Close(); err != nil {
		return err
	}
	return errFileReplaced
}

func (f *followedFile) Close() error           { return f.file.Close() }
func (f *followedFile) ready() <-chan struct{} { return nil }

// pipe reads a pipe, whose reads may block, on its own goroutine. The goroutine
// ends with the pipe, or at the first read after Close.
type pipe struct {
	chunks chan chunk
	wake   chan struct{}
	done   chan struct{}
	rest   chunk
	closer io.Closer
}

type chunk struct {
	bytes []byte
	err   error
}

func newPipe(name string, from io.Reader, closer io.Closer) *pipe {
	s := &pipe{
		chunks: make(chan chunk, 4),
		wake:   make(chan struct{}, 1),
		done:   make(chan struct{}),
		closer: closer,
	}
	go s.readAll(name, from)
	return s
}

func (s *pipe) readAll(name string, from io.Reader) {
	content, err := text(name, from)
	for err == nil {
		var c chunk
		c.bytes = make([]byte, readSize)
		var n int
		n, err = content.Read(c.bytes)
		c.bytes = c.bytes[:n]
		s.deliver(c)
	}
	s.deliver(chunk{err: err})
}

func (s *pipe) deliver(c chunk) {
	select {
	case s.chunks <- c:
	case <-s.done:
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *pipe) Read(p []byte) (int, error) {
	if len(s.rest.bytes) == 0 && s.rest.err == nil {
		select {
		case s.rest = <-s.chunks:
		default:
			return 0, errNoData
		}
	}
	n := copy(p, s.rest.bytes)
	s.rest.bytes = s.rest.bytes[n:]
	if n > 0 {
		return n, nil
	}
	return 0, s.rest.err
}

func (s *pipe) Close() error {
	close(s.done)
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

func (s *pipe) ready() <-chan struct{} { return s.wake }

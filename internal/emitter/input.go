package emitter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// standardInput is the file name that selects Dependencies.Stdin, and its display name.
const (
	standardInput     = "-"
	standardInputName = "standard input"
)

// openInput opens the log that config names. The time is the timestamp of lines
// that have none, or zero to use the time of reading.
func openInput(config Config, stdin io.Reader) (input, time.Time, error) {
	if config.File == standardInput {
		if stdin == nil {
			return nil, time.Time{}, errors.New("FILE: there is no standard input")
		}
		return newPipe(standardInputName, stdin, nil), time.Time{}, nil
	}
	file, err := os.Open(config.File)
	if err != nil && strings.ContainsAny(config.File, "*?[,") {
		return nil, time.Time{}, fmt.Errorf("FILE: %w: several files and patterns need FOLLOW", err)
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("FILE: %w", err)
	}
	in, written, err := inputOf(file)
	if err != nil {
		return nil, time.Time{}, errors.Join(err, file.Close())
	}
	return in, written, nil
}

func inputOf(file *os.File) (input, time.Time, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("FILE: %w", err)
	}
	if info.IsDir() {
		return nil, time.Time{}, fmt.Errorf("FILE: %s is a directory", file.Name())
	}
	if !info.Mode().IsRegular() {
		return newPipe(file.Name(), file, file), time.Time{}, nil
	}
	content, err := text(file.Name(), file)
	return staticFile{content, file}, info.ModTime(), err
}

// staticFile is a file that is read once, to its end.
type staticFile struct {
	io.Reader
	io.Closer
}

func (staticFile) ready() <-chan struct{} { return nil }

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

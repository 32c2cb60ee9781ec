package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// openLocked opens the newest file if it has capacity for need bytes, or creates
// another.
func (s *Store) openLocked(need int64) (*file, error) {
	if err := datafile.MakeDir(s.config.Dir, 0o750); err != nil {
		return nil, err
	}
	files, err := Files(s.config.Dir)
	if err != nil {
		return nil, err
	}
	if len(files) > 0 {
		newest, size, err := openAppend(files[len(files)-1])
		if err == nil && size+need <= s.config.FileBytes {
			return &file{File: newest, size: size}, nil
		}
		if err == nil {
			_ = newest.Close()
		}
	}
	if err := s.removeOldestLocked(files); err != nil {
		return nil, err
	}
	s.marks.removeOrphans()
	name := fileName(time.Now(), files)
	created, err := os.OpenFile(filepath.Join(s.config.Dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	return &file{File: created}, nil
}

// nameTime is the time in the names of files.
const nameTime = "20060102T150405.000000000"

// fileName returns the name of a file that is created now, behind those of all others also if the
// clock was set back.
func fileName(now time.Time, files []string) string {
	now = now.UTC()
	if len(files) > 0 {
		newest := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(files[len(files)-1]), filePrefix), fileSuffix)
		if at, err := time.Parse(nameTime, newest); err == nil && !now.After(at) {
			now = at.Add(1)
		}
	}
	return filePrefix + now.Format(nameTime) + fileSuffix
}

// openAppend opens a file for appending. It fails if the last line is partial.
func openAppend(name string) (file *os.File, size int64, err error) {
	if file, err = datafile.Open(name, os.O_RDWR|os.O_APPEND, 0); err != nil {
		return nil, 0, err
	}
	if size, err = file.Seek(0, io.SeekEnd); err != nil || size == 0 {
		return file, size, err
	}
	var last [1]byte
	if _, err = file.ReadAt(last[:], size-1); err == nil && last[0] != '\n' {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		_ = file.Close()
	}
	return file, size, err
}

// removeOldestLocked removes files until one more is allowed.
func (s *Store) removeOldestLocked(files []string) error {
	for len(files) >= s.config.Files {
		if err := os.Remove(files[0]); err != nil {
			return err
		}
		s.metrics.filesRemoved.Add(1)
		s.logger.Warn("the oldest dead letters were removed because of the limit on files", "file", files[0])
		files = files[1:]
	}
	return nil
}

// maxFileBytes is more than any file has: FileBytes of them, or the largest packet.
const maxFileBytes = 4 << 30

// Files returns the files of a directory, oldest first.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name, which contains the time of creation
	var files []string
	for _, entry := range entries {
		if matched, _ := filepath.Match(filePrefix+"*"+fileSuffix, entry.Name()); matched && entry.Type().IsRegular() {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
	}
	return files, err
}

// Export writes the dead letters of a directory that are neither replayed nor deleted as
// lines, oldest first. It may be called while a store is in use, and omits a partial last
// line of a file. A directory that does not exist is empty.
func Export(dir string, out io.Writer) error {
	files, err := Files(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	all := marks{dir: dir}
	for _, name := range files {
		known, err := all.of(filepath.Base(name))
		if err == nil {
			err = exportFile(name, known, out)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) { // removed meanwhile
			return err
		}
	}
	return nil
}

func exportFile(name string, marks []mark, out io.Writer) error {
	file, err := datafile.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	if info, err := file.Stat(); err != nil || info.Size() > maxFileBytes {
		return errors.Join(fmt.Errorf("%s is no file of dead letters: they have at most %d bytes", name, int64(maxFileBytes)), err)
	}
	_, _, err = scanLines(context.Background(), file, position{}, marks, math.MaxInt, func(l *line) (bool, error) {
		if l.mark != unmarked {
			return true, nil
		}
		if _, err := out.Write(l.text); err != nil {
			return false, err
		}
		_, err := io.WriteString(out, "\n")
		return true, err
	})
	return err
}

package deadletter

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// openLocked goes on with the newest file, which a restart or a failure has
// closed, or begins another.
func (l *Letters) openLocked(need int64) (*file, error) {
	if err := datafile.MakeDir(l.config.Dir, 0o750); err != nil {
		return nil, err
	}
	files, err := Files(l.config.Dir)
	if err != nil {
		return nil, err
	}
	if len(files) > 0 {
		newest, size, err := openWhole(files[len(files)-1])
		if err == nil && size+need <= l.config.FileBytes {
			return &file{File: newest, size: size}, nil
		}
		if err == nil {
			_ = newest.Close()
		}
	}
	if err := l.removeOldestLocked(files); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("dead-letter-%s.ndjson", time.Now().UTC().Format("20060102T150405.000000000"))
	begun, err := os.OpenFile(filepath.Join(l.config.Dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	return &file{File: begun}, nil
}

// openWhole opens a file to be appended to, unless its last line was cut off.
func openWhole(name string) (file *os.File, size int64, err error) {
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

// removeOldestLocked makes room for one more file.
func (l *Letters) removeOldestLocked(files []string) error {
	for len(files) >= l.config.Files {
		if err := os.Remove(files[0]); err != nil {
			return err
		}
		l.metrics.filesRemoved.Inc()
		l.logger.Warn("the oldest dead letters were removed to make room", "file", files[0])
		files = files[1:]
	}
	return nil
}

// maxFileBytes is more than any file has: FileBytes of them, or the largest packet.
const maxFileBytes = 4 << 30

// Files lists a folder's files of dead letters, oldest first.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // in the order of the names, which begin with the time
	var files []string
	for _, entry := range entries {
		if whole, _ := filepath.Match("dead-letter-*.ndjson", entry.Name()); whole && entry.Type().IsRegular() {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
	}
	return files, err
}

// Export writes the dead letters of a folder, oldest first, one a line. It may
// be used while they are kept; a line that is being written, or was cut off, is
// left out. A folder that is not there has none.
func Export(dir string, out io.Writer) error {
	files, err := Files(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range files {
		if err := exportFile(name, out); err != nil && !errors.Is(err, os.ErrNotExist) { // removed to make room
			return err
		}
	}
	return nil
}

func exportFile(name string, out io.Writer) error {
	file, err := datafile.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	if info, err := file.Stat(); err != nil || info.Size() > maxFileBytes {
		return errors.Join(fmt.Errorf("%s is no file of dead letters: they have at most %d bytes", name, int64(maxFileBytes)), err)
	}
	lines := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
}

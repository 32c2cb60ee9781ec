package emitter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxTails bounds the followed files, each of which is open.
const maxTails = 1000

// hasMeta reports whether a path is a pattern.
func hasMeta(path string) bool { return strings.ContainsAny(path, "*?[") }

// parsePatterns splits the setting and checks each pattern.
func parsePatterns(setting string) ([]string, error) {
	if exists(setting) { // a path with a comma
		return []string{setting}, nil
	}
	var patterns []string
	for pattern := range strings.SplitSeq(setting, ",") {
		pattern = strings.TrimSpace(pattern)
		if _, err := filepath.Match(pattern, ""); err != nil || pattern == "" {
			return nil, fmt.Errorf("FILE: %q is not allowed: it must be paths or patterns such as /var/log/*.log, with commas", setting)
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

// discover opens files that the patterns match now, and records where the known files are.
func (s *followSource) discover(now time.Time) {
	named := make(map[*tail]bool)
	problems := make(map[string]string)
	for _, path := range s.paths() {
		t, err := s.visit(path, now)
		switch {
		case t != nil:
			named[t] = true
			t.state.Path = path
		case err != nil && !(errors.Is(err, fs.ErrNotExist) && !s.isLiteral(path)):
			problems[path] = err.Error()
		}
	}
	s.report(problems)
	for _, t := range s.tails {
		switch {
		case named[t]:
			t.gone = time.Time{}
		case t.gone.IsZero():
			t.gone, t.nextPoll = now, laterOf(now, t.grown.Add(recordWait))
		}
	}
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// paths returns the paths that the patterns match, each once.
func (s *followSource) paths() (paths []string) {
	seen := make(map[string]bool)
	for _, pattern := range s.patterns {
		found := []string{pattern}
		if hasMeta(pattern) && !exists(pattern) {
			found, _ = filepath.Glob(pattern) // the pattern is valid
		}
		for _, path := range found {
			if !seen[path] {
				seen[path] = true
				paths = append(paths, path)
			}
		}
	}
	return paths
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *followSource) isLiteral(path string) bool {
	for _, pattern := range s.patterns {
		if pattern == path {
			return true
		}
	}
	return false
}

// visit returns the tail of the file at a path, a new one if necessary, or the reason why there is
// none, which is errCopy for a copy of a followed file.
func (s *followSource) visit(path string, now time.Time) (*tail, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	for _, t := range s.tails {
		if os.SameFile(info, t.info) {
			return t, nil
		}
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("FILE: %s is not a regular file, and cannot be followed", path)
	}
	file, info, id, err := openLog(path)
	if err != nil {
		return nil, err
	}
	err = refusalOf(path, file)
	if err == nil && len(s.tails) >= maxTails {
		err = fmt.Errorf("%s: %d files are followed already, which is the limit", path, maxTails)
	}
	if err == nil && s.isCopy(path, file, info) {
		err = errCopy
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	t := s.newTail(path, file, info, id, now)
	return t, nil
}

// refusalOf returns the reason why a file cannot be followed.
func refusalOf(path string, file *os.File) error {
	start := make([]byte, sniffBytes)
	n, _ := file.ReadAt(start, 0) // the error is reported when the file is followed
	f, refused := detectFormat(start[:n])
	switch {
	case !refused:
		return nil
	case f.decompress != nil:
		return fmt.Errorf("FILE: %s is %s, which cannot be followed", path, f.name)
	default:
		return f.refusal(path)
	}
}

// errCopy is the reason why a file is not followed for now.
var errCopy = errors.New("it begins like a followed file, and counts as the copy that rotation makes of that file until it is longer")

// isCopy reports whether a file is a copy of a followed file, which rotation by copying makes
// before it truncates the original: restart reads the copy.
func (s *followSource) isCopy(path string, file *os.File, info os.FileInfo) bool {
	for _, t := range s.tails {
		if t.state.Fingerprint.Bytes == 0 || !isCopyName(path, t.state.Path) || !t.state.Fingerprint.matches(file) {
			continue
		}
		original, err := t.file.Stat()
		if err == nil && (info.Size() <= original.Size() || t.isTruncated(original.Size())) {
			return true
		}
	}
	return false
}

// isCopyName reports whether rotation may give the name to the copy of a file: a longer one, of
// the same directory, that continues the stem with a separator.
func isCopyName(path, original string) bool {
	rest, found := strings.CutPrefix(filepath.Base(path), stemOf(original))
	return found && filepath.Dir(path) == filepath.Dir(original) && len(path) > len(original) &&
		!strings.ContainsAny(rest[:1], "0123456789")
}

// dropCopies ends the following of files that were found before rotation had copied anything to
// them.
func (s *followSource) dropCopies() {
	for n := len(s.tails) - 1; n >= 0; n-- {
		t := s.tails[n]
		if t.state.Fingerprint.Bytes > 0 || t.state.Offset > 0 {
			continue
		}
		info, err := t.file.Stat()
		if err == nil && info.Size() > 0 && s.isCopy(t.state.Path, t.file, info) {
			_ = t.file.Close() // the file was only read
			s.tails = slices.Delete(s.tails, n, n+1)
			s.unsaved = true
		}
	}
}

// stemOf returns the part of a file's name that rotation keeps.
func stemOf(path string) string {
	stem, _, _ := strings.Cut(filepath.Base(path), ".")
	return stem
}

// report logs the paths that cannot be followed, once until the reason changes.
func (s *followSource) report(problems map[string]string) {
	for path, reason := range problems {
		if s.problems[path] != reason {
			s.logger.Warn("a file cannot be followed; it is tried again", "file", path, "reason", reason)
		}
	}
	for path := range s.problems {
		if _, remains := problems[path]; !remains {
			s.logger.Info("a file that could not be followed is followed, or gone", "file", path)
		}
	}
	s.problems = problems
}

package emitter

import (
	"os"
	"path/filepath"
	"strings"
)

// maxCandidates bounds the files of a directory that are checked for a rotated file.
const maxCandidates = 10_000

// relocate opens the file of a state: at its path or, if it was rotated, in the same directory
// under another name. The copy of rotation by copying serves as well. The result must not be
// another followed file.
func (s *followSource) relocate(state *fileState) (*os.File, os.FileInfo, identity, bool) {
	var copied string
	for _, path := range candidates(state.Path) {
		file, info, id, err := openLog(path)
		if err != nil {
			continue
		}
		fits := info.Size() >= state.Offset
		if fits && id == state.identity && !state.Fingerprint.differs(file) {
			return file, info, id, true
		}
		if fits && state.Fingerprint.matches(file) && state.Fingerprint.Bytes > 0 && copied == "" && !s.isFollowed(info) {
			copied = path
		}
		_ = file.Close()
	}
	if copied == "" {
		return nil, nil, identity{}, false
	}
	file, info, id, err := openLog(copied)
	return file, info, id, err == nil
}

func (s *followSource) isFollowed(info os.FileInfo) bool {
	for _, t := range s.tails {
		if os.SameFile(info, t.info) {
			return true
		}
	}
	return false
}

// candidates returns the path and the files in its directory with the same stem.
func candidates(path string) []string {
	all := []string{path}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return all
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(maxCandidates)
	for _, name := range names {
		if name != filepath.Base(path) && strings.HasPrefix(name, stemOf(path)) {
			all = append(all, filepath.Join(filepath.Dir(path), name))
		}
	}
	return all
}

package faults

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// damageRows damage the journal's files.
func damageRows() []row {
	return onDisk([]row{
		{
			name: "flipped-byte", fault: "kill -9, then one random byte anywhere in the journal is changed, again and again",
			promise: "it starts, loses at most the record that was hit, and reports it", do: flippedBytes,
		},
		{
			name: "torn-tail", fault: "kill -9, then the journal's newest segment is truncated anywhere, again and again",
			promise: "it starts, and loses at most the records that were truncated", do: tornTail,
		},
		{
			name: "foreign-files", fault: "kill -9, then random bytes, a directory or a dangling link replaces a file of `DATA_DIR` other than `overrides.json`, and another one has the name of a segment, again and again",
			promise: "it starts, and no accepted packet is lost", do: foreignFiles,
		},
	})
}

// damageLoop kills the distributor, damages its journal and restarts it, while
// slow analyzers keep packets in the journal. It returns the number of accepted
// packets lost.
func (s *system) damageLoop(damage func()) (lost int) {
	s.setAllBehaviours(analyzertest.Behaviour{Delay: 100 * time.Millisecond})
	s.closedLoop()
	half := max(rounds()/2, 1)
	s.killLoop(half, "/livez", damage)
	s.setAllBehaviours(analyzertest.Behaviour{})
	s.emitters.halt()
	s.awaitDelivery()
	s.report("%d rounds", half)
	return len(checkConservation(s.emitters.outcomes, s.analyzers).Lost)
}

func flippedBytes(s *system) {
	lost := s.damageLoop(func() {
		files := s.journalFiles()
		path := files[s.random.IntN(len(files))]
		content, used := s.content(path)
		at := s.random.IntN(used)
		content[at] ^= byte(1 + s.random.IntN(255))
		s.t.Logf("%s: byte %d of %d is changed", path, at, used)
		s.write(path, content)
		s.maxLost++
	})
	reported := s.distributor.lostLogged()
	if lost > reported {
		s.t.Errorf("%d packets are lost and the log reports %d", lost, reported)
	}
	s.report("the log reports %d", reported)
}

// tornTail expects no log line about the loss: a truncated journal looks like a
// shorter one.
func tornTail(s *system) {
	s.damageLoop(func() {
		path := slices.Max(s.journalFiles())
		content, used := s.content(path)
		at := s.random.IntN(used)
		hit := 1 + strings.Count(string(content[at:used]), `"packet_id"`) // 1: the record that is cut
		s.t.Logf("%s: cut at byte %d of %d, through %d packets", path, at, used, hit)
		s.write(path, content[:at])
		s.maxLost += hit
	})
}

func foreignFiles(s *system) {
	s.damageLoop(func() {
		var replaceable []string
		entries, err := os.ReadDir(s.distributor.dataDir)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, entry := range entries {
			if name := entry.Name(); name != "journal" && name != "overrides.json" {
				replaceable = append(replaceable, name)
			}
		}
		s.replace(replaceable[s.random.IntN(len(replaceable))])
		s.replace("journal/0000000100000000.segment") // after all others
	})
}

// replace puts something else at a path in the data directory.
func (s *system) replace(name string) {
	s.t.Helper()
	path := filepath.Join(s.distributor.dataDir, name)
	if err := os.RemoveAll(path); err != nil {
		s.t.Fatal(err)
	}
	var err error
	kind := s.random.IntN(3)
	switch kind {
	case 0:
		content := make([]byte, s.random.IntN(1<<16))
		for i := range content {
			content[i] = byte(s.random.Uint32())
		}
		err = os.WriteFile(path, content, 0o600)
	case 1:
		err = os.MkdirAll(filepath.Join(path, "with", "content"), 0o700)
	case 2:
		err = os.Symlink(filepath.Join(s.distributor.dataDir, "nowhere"), path)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("%s is replaced by %s", name, []string{"random bytes", "a directory", "a link"}[kind])
}

// content returns a file and its used length: the rest is zeros.
func (s *system) content(path string) (content []byte, used int) {
	s.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	used = len(strings.TrimRight(string(content), "\x00"))
	if used == 0 {
		s.t.Fatalf("%s is empty", path)
	}
	return content, used
}

func (s *system) write(path string, content []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

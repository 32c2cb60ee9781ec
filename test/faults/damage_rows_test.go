package faults

import (
	"os"
	"slices"
	"strings"
	"time"
)

// damageRows are changes to the journal's files.
func damageRows() []row {
	return onDisk([]row{
		{
			name: "flipped-byte", fault: "kill -9, then one random byte anywhere in the journal is changed, again and again",
			promise: "it starts, loses at most the record that was hit, and says so", do: flippedBytes,
		},
		{
			name: "torn-tail", fault: "kill -9, then the journal's newest segment is cut off anywhere, again and again",
			promise: "it starts, and loses at most the records that were cut off", do: tornTail,
		},
	})
}

// damageLoop kills the distributor, does something to its journal, and starts
// it, while analyzers are so slow that much is left in the journal. It returns
// how many accepted packets are lost in the end.
func (s *system) damageLoop(damage func()) (lost int) {
	s.behaveAll(Behaviour{Delay: 100 * time.Millisecond})
	s.hurry()
	half := max(rounds()/2, 1)
	s.killLoop(half, "/livez", damage)
	s.behaveAll(Behaviour{})
	s.emitters.halt()
	s.settle()
	s.note("%d rounds", half)
	return len(compare(s.emitters.outcomes, s.analyzers).Lost)
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
		s.mayLose++
	})
	said := s.distributor.damagesLogged()
	if lost > said {
		s.t.Errorf("%d packets are lost and the log tells of %d", lost, said)
	}
	s.note("the log tells of %d", said)
}

// tornTail does not ask for a log line about what is lost: a journal that ends
// earlier looks as if nothing had ever come after.
func tornTail(s *system) {
	s.damageLoop(func() {
		path := slices.Max(s.journalFiles())
		content, used := s.content(path)
		at := s.random.IntN(used)
		hit := 1 + strings.Count(string(content[at:used]), `"packet_id"`) // 1: the cut goes through it
		s.t.Logf("%s: cut at byte %d of %d, through %d packets", path, at, used, hit)
		s.write(path, content[:at])
		s.mayLose += hit
	})
}

// content returns a file and how much of it is used: the rest is zeros.
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

package emitter

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

// FuzzCheckpoint reads checkpoints of any content. One that is accepted is written as it was read,
// and the packets that it names can be made of a file.
func FuzzCheckpoint(f *testing.F) {
	const sum = `"fingerprint":{"bytes":4,"sha256":"00"}`
	f.Add([]byte(`{"version":1,"files":[{"path":"a.log","device":1,"inode":2,` + sum + `,"id":"run-1","offset":9,"last":1700000000000,"open":[{"offset":0,"end":4,"now":1700000000000}]}]}`))
	f.Add([]byte(`{"version":1,"files":[{"path":"a.log","fingerprint":{"bytes":-1},"offset":1}]}`))
	f.Add([]byte(`{"version":1,"files":[{"path":"a.log","fingerprint":{"bytes":9000000000000000000}}]}`))
	f.Add([]byte(`{"version":1,"files":[{"path":"a.log","offset":-1,"mid_line":true}]}`))
	f.Add([]byte(`{"version":1,"files":[{"path":"a.log","offset":9,"open":[{"offset":5,"end":1}]}]}`))
	f.Add([]byte(`{"version":1,"files":[{"path":"a.log","open":[null]},null]}`))
	f.Add([]byte(`{"version":2}`))
	log, err := os.Open(writeFile(f, []byte("one\n2026-01-02T15:04:05Z ERROR two\nthree\n"+strings.Repeat("x", 300))))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = log.Close() })
	sizes, err := ParseSizes("2", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decodeCheckpoint(bytes.NewReader(text))
		if err != nil {
			return
		}
		before := encode(t, c)
		again, err := decodeCheckpoint(bytes.NewReader(before))
		if err != nil || !bytes.Equal(encode(t, again), before) {
			t.Fatalf("%s is read as %s, and that as %s: %v", text, before, encode(t, again), err)
		}
		s := &followSource{logger: slog.New(slog.DiscardHandler), cutter: packetizer{newFileSource(nil, parser{}, nil, newEnvelope("e", "run"), sizes)}}
		for _, state := range c.Files {
			_ = state.Fingerprint.matches(log) || state.Fingerprint.differs(log)
			remakes(t, s, &tail{state: state, file: log, parser: newParser("a.log", time.Time{})})
		}
	})
}

func encode(t *testing.T, c checkpoint) []byte {
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// remakes checks the packets that were not completed.
func remakes(t *testing.T, s *followSource, of *tail) {
	for _, o := range of.state.Open {
		p, err := s.again(replayed{of, o})
		if err != nil {
			t.Fatal(err)
		}
		if p != nil && len(p.body) > 0 {
			readBack(t, p)
		}
	}
}

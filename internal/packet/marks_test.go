package packet

import (
	"bytes"
	"testing"
)

// plainMarks returns the marks of complete blocks, computed byte by byte.
func plainMarks(text []byte, strict bool) []byte {
	marks := make([]byte, len(text)/8)
	for i, c := range text {
		if c == '"' || c == '\\' || c < ' ' || strict && c >= 0x80 {
			marks[i/8] |= 1 << (i % 8)
		}
	}
	return marks
}

// checkMarks compares all implementations for a text of complete blocks.
func checkMarks(t *testing.T, text []byte) {
	t.Helper()
	foreign := bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })
	for _, strict := range []bool{false, true} {
		marks := make([]byte, len(text)/8)
		if got := markWords(marks, text, strict); got != foreign || !bytes.Equal(marks, plainMarks(text, strict)) {
			t.Fatalf("markWords of %q (strict: %v): %08b, %v", text, strict, marks, got)
		}
	}
	if hasVectors {
		marks := make([]byte, len(text)/8)
		if got := markBlocks(marks, text); got != foreign || !bytes.Equal(marks, plainMarks(text, false)) {
			t.Fatalf("markBlocks of %q: %08b, %v", text, marks, got)
		}
	}
}

func TestMarksOfEveryPairOfBytes(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			text := bytes.Repeat([]byte{byte(first), 'a', byte(second), byte(first)}, block/4)
			checkMarks(t, text)
		}
	}
}

// TestMarksOfAnEarlierWindow marks the end of a body, then an earlier window at whose
// end a string starts.
func TestMarksOfAnEarlierWindow(t *testing.T) {
	for place := window - 70; place < window; place++ {
		body := bytes.Repeat([]byte{'a'}, 3*window)
		body[place], body[len(body)-1] = '"', '"'
		eachWay(body, func(s *scanner) {
			s.mark(len(body) - window)
			s.mark(0)
			if _, end := s.text(place); end != len(body) {
				t.Fatalf("the text from %d on ends at %d: %v", place, end, s.refusal.Detail)
			}
		})
	}
}

func FuzzMarks(f *testing.F) {
	f.Add([]byte(plainPacket))
	f.Add([]byte("\x1f\x20\x21\x22\x23\x5b\x5c\x5d\x7f\x80\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		checkMarks(t, text[:len(text)-len(text)%block])
	})
}

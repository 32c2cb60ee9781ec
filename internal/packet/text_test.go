package packet

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

// quoteEscaped writes a JSON string in which every character is an escape.
func quoteEscaped(text string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, unit := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&quoted, `\u%04x`, unit)
	}
	quoted.WriteByte('"')
	return quoted.String()
}

func TestZeroTextIsEmpty(t *testing.T) {
	var text Text
	if !text.IsEmpty() || text.Len() != 0 || len(text.Raw(nil)) != 0 || len(text.AppendDecoded(nil, nil)) != 0 {
		t.Error("the zero Text is not empty")
	}
}

// TestEveryByteAtEveryPlace puts each byte at each place of strings of up to 24
// bytes, so that it falls on each place of the eight that are read at once and
// into the last bytes of the body, which are read one by one.
func TestEveryByteAtEveryPlace(t *testing.T) {
	for length := 1; length <= 24; length++ {
		for place := range length {
			for value := range 256 {
				content := []byte(strings.Repeat("a", length))
				content[place] = byte(value)
				checkPlainString(t, content)
			}
		}
	}
}

func checkPlainString(t *testing.T, content []byte) {
	t.Helper()
	body := append(append([]byte{'"'}, content...), '"')
	s := scanner{body: body}
	text, end := s.text(0)
	plain := true
	for i, c := range content {
		if c == '\\' && i == len(content)-1 {
			return // it escapes the closing quote
		}
		if c < ' ' || c == '\\' || c >= 0x80 {
			plain = false
			if end != refused || s.refusal.Offset != i+1 {
				t.Fatalf("%q: end %d, fault at %d, want a fault at %d", body, end, s.refusal.Offset, i+1)
			}
		}
		if c == '"' {
			plain = false
			if end != i+2 || text.Len() != i {
				t.Fatalf("%q: end %d, text of %d bytes, want %d", body, end, text.Len(), i)
			}
		}
	}
	if plain && (end != len(body) || text.Len() != len(content) || text.escaped) {
		t.Fatalf("%q: end %d, %+v", body, end, text)
	}
}

func TestTextAllocatesNothing(t *testing.T) {
	body := []byte(`"a\u00e9b\n"`)
	s := scanner{body: body}
	text, _ := s.text(0)
	buffer := make([]byte, 0, 64)
	if allocations := testing.AllocsPerRun(100, func() {
		buffer = append(buffer[:0], text.Raw(body)...)
		buffer = text.AppendDecoded(buffer[:0], body)
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestRawCannotGrowIntoTheBody(t *testing.T) {
	body := []byte(`"id","next"`)
	s := scanner{body: body}
	text, _ := s.text(0)
	if _ = append(text.Raw(body), '!'); string(body) != `"id","next"` {
		t.Errorf("appending to the raw text changed the body to %s", body)
	}
}

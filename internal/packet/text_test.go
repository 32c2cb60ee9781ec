package packet

import (
	"bytes"
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

func TestDecodedCopiesOnlyEscapedText(t *testing.T) {
	body := []byte(`{"emitter_id":"plain","packet_id":"\u0070lain","messages":[` + plainMessage + `]}`)
	info, err := Check(body, 1)
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1, 10)
	plain, escaped := info.EmitterID.Decoded(buffer[:0], body), info.PacketID.Decoded(buffer[:0], body)
	if string(plain) != "plain" || &plain[0] != &info.EmitterID.Raw(body)[0] {
		t.Errorf("without an escape it is %q, or a copy", plain)
	}
	if string(escaped) != "plain" || &escaped[0] != &buffer[0] {
		t.Errorf("with an escape it is %q, or not in the buffer", escaped)
	}
}

func TestZeroTextIsEmpty(t *testing.T) {
	var text Text
	if !text.IsEmpty() || text.Len() != 0 || len(text.Raw(nil)) != 0 || len(text.AppendDecoded(nil, nil)) != 0 {
		t.Error("the zero Text is not empty")
	}
}

// TestEveryByteAtEveryOffset places each byte that ends the plain part of a string, and
// its neighbours, at each offset of strings of up to 130 bytes, so that it occurs at
// each position of a word.
func TestEveryByteAtEveryOffset(t *testing.T) {
	values := []byte{' ', '!', '"', '#', '[', '\\', ']', '~', 0x7f, 0x80, 0xa2, 0xbf, 0xc0, 0xc2, 0xdc, 0xe2, 0xed, 0xf4, 0xff}
	for control := range byte(' ') {
		values = append(values, control)
	}
	for length := range 131 {
		body := []byte(`"` + strings.Repeat("a", length) + `"`)
		checkPlainString(t, body)
		for place := 1; place <= length; place++ {
			for _, value := range values {
				body[place] = value
				checkPlainString(t, body)
			}
			body[place] = 'a'
		}
	}
}

// TestEveryByteAroundWindows does the same around the borders of windows.
func TestEveryByteAroundWindows(t *testing.T) {
	for _, border := range []int{window, 2 * window} {
		for length := border - 40; length <= border+40; length++ {
			body := []byte(`"` + strings.Repeat("a", length) + `"`)
			checkPlainString(t, body)
			for place := border - 40; place <= length; place++ {
				for _, value := range []byte{'"', '\\', 0, 0x80} {
					body[place] = value
					checkPlainString(t, body)
				}
				body[place] = 'a'
			}
		}
	}
}

// checkPlainString reads a string of letters with at most one other byte.
func checkPlainString(t *testing.T, body []byte) {
	t.Helper()
	content := body[1 : len(body)-1]
	fault := bytes.IndexFunc(content, func(r rune) bool { return r < ' ' || r == '\\' || r >= 0x80 })
	quote := bytes.IndexByte(content, '"')
	if fault >= 0 && content[fault] == '\\' && (fault == len(content)-1 || strings.IndexByte(`"\/bfnrtu`, content[fault+1]) >= 0) {
		return // FuzzText is about escapes
	}
	eachWay(body, func(s *scanner) {
		text, end := s.text(0)
		switch {
		case fault >= 0:
			if end != refused || s.refusal.Offset != fault+1 {
				t.Fatalf("%q: end %d, fault at %d, want a fault at %d", body, end, s.refusal.Offset, fault+1)
			}
		case quote >= 0:
			if end != quote+2 || text.Len() != quote {
				t.Fatalf("%q: end %d, text of %d bytes, want %d", body, end, text.Len(), quote)
			}
		case end != len(body) || text.Len() != len(content) || text.escaped:
			t.Fatalf("%q: end %d, %+v", body, end, text)
		}
	})
}

func TestAppendToRawDoesNotChangeTheBody(t *testing.T) {
	body := []byte(`"id","next"`)
	s := scanner{body: body}
	text, _ := s.text(0)
	if _ = append(text.Raw(body), '!'); string(body) != `"id","next"` {
		t.Errorf("appending to the raw text changed the body to %s", body)
	}
}

package packet

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzCheck compares Check with the reference in both directions.
func FuzzCheck(f *testing.F) {
	for _, body := range acceptedBodies() {
		f.Add([]byte(body))
	}
	for _, row := range refusalRows() {
		f.Add([]byte(strings.Replace(row.body, mark, "", 1)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const maxMessages = 3
		body = body[:len(body):len(body)] // a read behind the end panics
		info, err := checkBoth(t, body, maxMessages)
		compareWithReference(t, body, maxMessages, info, err)
	})
}

// FuzzText compares the decoding of a string with that of the standard library.
func FuzzText(f *testing.F) {
	for _, content := range []string{
		``, `plain`, `é日😀`, `\"\\\/\b\f\n\r\t`, `\u0041\u00e9\u65E5`, `\ud83d\ude00`, `\ud83d`, `\ude00`,
		`\ud83dx`, `\ud83dxude00`, `\ud83d\n`, `\ud83d\u0041`, `\ud83d\ud83d\ude00`, `\ud83d\\ude00`, `\ud83d\ude0`, `\u000`, `\x`,
		"a\nb", "\xff", "\xed\xa0\x80", "\x7f", `"`, `\`, "abcdefg\xc3\xa9", `abcdefgh\u0000`,
	} {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content string) {
		body := []byte(`"` + content + `"`)
		eachWay(body, func(s *scanner) { compareTextWithStandard(t, s, content) })
	})
}

func compareTextWithStandard(t *testing.T, s *scanner, content string) {
	t.Helper()
	text, end := s.text(0)
	var want string
	err := json.Unmarshal(s.body, &want)
	if end != len(s.body) {
		if err == nil && strings.ToValidUTF8(content, "") == content {
			t.Fatalf("refused %q: %v", s.body, s.refusal)
		}
		return
	}
	if err != nil {
		t.Fatalf("accepted %q, the standard library returns %v", s.body, err)
	}
	if got := string(text.AppendDecoded([]byte("x"), s.body)); got != "x"+want {
		t.Fatalf("%q decoded to %q, want %q after x", s.body, got, want)
	}
	if got := text.DecodedLen(s.body); got != len(want) {
		t.Fatalf("%q has decoded length %d, want %d", s.body, got, len(want))
	}
	if got := string(text.Raw(s.body)); got != content {
		t.Fatalf("raw %q, want %q", got, content)
	}
}

// FuzzLines compares Lines with bytes.Split.
func FuzzLines(f *testing.F) {
	for _, body := range []string{"", "\n", "a", "a\n", "a\nb", "a\r\nb\r\n", "\n\n a \n\t\r\n\rb", "a\r\r\n"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		lines := LinesOf(body)
		for i, want := range strings.Split(string(body), "\n") {
			if strings.Trim(want, " \t\r") == "" {
				continue
			}
			line, number, ok := lines.Next()
			if !ok || number != i+1 || string(line) != strings.TrimSuffix(want, "\r") {
				t.Fatalf("line %d of %q: %q, number %d, %v", i+1, body, line, number, ok)
			}
		}
		if line, number, ok := lines.Next(); ok {
			t.Fatalf("an additional line in %q: %q, number %d", body, line, number)
		}
	})
}

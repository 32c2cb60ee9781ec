package native

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// linesCase is a body of lines: the packets that are stored, and the codes of the refused lines by
// line number.
type linesCase struct {
	name, body string
	stored     []string
	refused    map[int]problem.Code
	status     int
}

// listed returns the codes of a response's list by line, and whether it has a list.
func listed(t *testing.T, a response) (codes map[int]problem.Code, has bool) {
	t.Helper()
	var got struct {
		Refused *[]refusedLine
	}
	if err := json.Unmarshal([]byte(a.text), &got); err != nil {
		t.Fatalf("%.300s: %v", a.text, err)
	}
	if got.Refused == nil {
		return nil, false
	}
	codes = make(map[int]problem.Code)
	for _, r := range *got.Refused {
		if codes[r.Line] != "" {
			t.Errorf("line %d is listed twice", r.Line)
		}
		codes[r.Line] = problem.Code(r.Code)
	}
	return codes, true
}

func (w *servedWay) checkLines(t *testing.T, c linesCase, encoding string) {
	t.Helper()
	body, headers := c.body, []string{linesType}
	if encoding != "" {
		body, headers = compress(t, encoding, body), append(headers, "Content-Encoding: "+encoding)
	}
	name := fmt.Sprintf("%s: %s %s", w.name, c.name, encoding)
	a, stored := w.send(t, w.form(body, headers...))
	if a.StatusCode != c.status || !slices.Equal(stored, c.stored) {
		t.Errorf("%s: status %d, stored %.300q, want %d, %.300q: %.300s", name, a.StatusCode, stored, c.status, c.stored, a.text)
		return
	}
	codes, has := listed(t, a)
	if has != (len(c.refused) > 0) || !maps.Equal(codes, c.refused) {
		t.Errorf("%s: refused %v, want %v", name, codes, c.refused)
	}
	if want := fmt.Sprintf(`"accepted":%d`, len(c.stored)); len(c.stored) > 0 && !strings.Contains(a.text, want) {
		t.Errorf("%s: %s, want %s", name, a.text, want)
	}
}

func codesOf(code problem.Code, lines ...int) map[int]problem.Code {
	codes := make(map[int]problem.Code)
	for _, line := range lines {
		codes[line] = code
	}
	return codes
}

// separatorCases have each form of line ends, blank lines and white space.
func separatorCases() []linesCase {
	a, b := aPacket("a", 0), aPacket("b", 0)
	const malformed, invalid = problem.Malformed, problem.InvalidPacket
	ab := []string{a, b}
	return []linesCase{
		{"one", a + "\n", []string{a}, nil, 202},
		{"last without an end", a + "\n" + b, ab, nil, 202},
		{"LF", a + "\n" + b + "\n", ab, nil, 202},
		{"CRLF", a + "\r\n" + b + "\r\n", ab, nil, 202},
		{"CRLF and LF", a + "\r\n" + b + "\n", ab, nil, 202},
		{"last with CR", a + "\n" + b + "\r", ab, nil, 202},
		{"CR alone", a + "\r" + b, nil, codesOf(malformed, 1), 400},
		{"LF CR", a + "\n\r" + b + "\n\r", []string{a, "\r" + b}, nil, 202},
		{"two CR", a + "\r\r\n" + b, []string{a + "\r", b}, nil, 202},
		{"blank lines", "\n\n" + a + "\n\n\n" + b + "\n\n", ab, nil, 202},
		{"white space", " \t\r\n" + a + "\n \t \n" + b + "\n\t", ab, nil, 202},
		{"space around", " " + a + "\t\n\t" + b + " ", []string{" " + a + "\t", "\t" + b + " "}, nil, 202},
		{"blank lines count", "\n\nx\n\n" + a + "\n\n{}", []string{a}, map[int]problem.Code{3: malformed, 7: invalid}, 207},
		{"CRLF blank lines count", "\r\n \r\nx\r\n" + a + "\r\n", []string{a}, codesOf(malformed, 3), 207},
		{"byte order mark", "\ufeff" + a + "\n" + b, []string{b}, codesOf(malformed, 1), 207},
		{"byte order mark alone", "\ufeff", nil, codesOf(malformed, 1), 400},
		{"NUL line", a + "\n\x00\n" + b, ab, codesOf(malformed, 2), 207},
		{"NUL behind", a + "\x00\n" + b, []string{b}, codesOf(malformed, 1), 207},
		{"NULs at the end", a + "\n" + b + "\n\x00\x00\x00", ab, codesOf(malformed, 3), 207},
		{"form feed", a + "\n\f\n" + b, ab, codesOf(malformed, 2), 207},
		{"vertical tab", a + "\n\v", []string{a}, codesOf(malformed, 2), 207},
		{"no-break space", a + "\n\u00a0", []string{a}, codesOf(malformed, 2), 207},
		{"line separator", a + "\u2028" + b, nil, codesOf(malformed, 1), 400},
		{"next line", a + "\u0085" + b, nil, codesOf(malformed, 1), 400},
		{"nothing", "", nil, nil, 400},
		{"only blank", "\n \n\t\r\n", nil, nil, 400},
		{"only a CR", "\r", nil, nil, 400},
	}
}

// lineContentCases have valid and invalid packets as lines.
func lineContentCases() []linesCase {
	a, b, long := aPacket("a", 0), aPacket("b", 0), aPacket("c", 100_000)
	const malformed, invalid, large = problem.Malformed, problem.InvalidPacket, problem.TooLarge
	many := manyMessages(101)
	ab := []string{a, b}
	broken := `{"emitter_id":"e",` + "\n" + a[len(`{"emitter_id":"e",`):]
	return []linesCase{
		{"two on a line", a + b + "\n" + b, []string{b}, codesOf(malformed, 1), 207},
		{"two with a space", a + " " + b, nil, codesOf(malformed, 1), 400},
		{"two with a comma", a + "," + b, nil, codesOf(malformed, 1), 400},
		{"an array", "[" + a + "," + b + "]", nil, codesOf(invalid, 1), 400},
		{"pretty array", "[\n" + a + ",\n" + b + "\n]", []string{b}, codesOf(malformed, 1, 2, 4), 207},
		{"over two lines", broken + "\n" + a, []string{a}, map[int]problem.Code{1: malformed, 2: invalid}, 207}, // the second line begins with a string
		{"record separator", "\x1e" + a + "\n" + b, []string{b}, codesOf(malformed, 1), 207},
		{"event stream", "data: " + a + "\n\n", nil, codesOf(malformed, 1), 400},
		{"comment", "# c\n" + a, []string{a}, codesOf(malformed, 1), 207},
		{"long", a + "\n" + long, []string{a, long}, nil, 202},
		{"too many messages", a + "\n" + many + "\n" + b, ab, codesOf(large, 2), 207},
		{"only too many messages", many, nil, codesOf(large, 1), 400},
		{"all malformed", "x\ny\n\nz", nil, codesOf(malformed, 1, 2, 4), 400},
		{"all invalid", "{}\n[]\nnull\n1\n\"\"\ntrue", nil, codesOf(invalid, 1, 2, 3, 4, 5, 6), 400},
		{"invalid and malformed", "{}\n{", nil, map[int]problem.Code{1: invalid, 2: malformed}, 400},
		{"invalid UTF-8", a + "\n" + strings.Replace(b, `"m`, "\"\xff", 1), []string{a}, codesOf(malformed, 2), 207},
		{"a cut last line", a + "\n" + b[:len(b)-1], []string{a}, codesOf(malformed, 2), 207},
		{"the same thrice", strings.Repeat(a+"\n", 3), []string{a, a, a}, nil, 202},
	}
}

func TestLinesCases(t *testing.T) {
	ways := serveBothWays(t, standard())
	for _, c := range append(separatorCases(), lineContentCases()...) {
		for _, w := range ways {
			for _, encoding := range []string{"", "gzip", "zstd"} {
				w.checkLines(t, c, encoding)
			}
		}
	}
}

// Blank lines count too, so that the list of a response stays bounded.
func TestMaxLines(t *testing.T) {
	a := aPacket("a", 0)
	for _, w := range serveBothWays(t, standard()) {
		for _, encoding := range []string{"", "gzip", "zstd"} {
			w.checkLines(t, linesCase{"the maximum", strings.Repeat("\n", maxLines-1) + a, []string{a}, nil, 202}, encoding)
			w.checkLines(t, linesCase{"with an end", strings.Repeat("\n", maxLines-1) + a + "\n", []string{a}, nil, 202}, encoding)
			w.checkLines(t, linesCase{"one more", a + strings.Repeat("\n", maxLines) + a, nil, nil, 413}, encoding)
			refused := make(map[int]problem.Code)
			for line := 1; line < maxLines; line++ {
				refused[line] = problem.Malformed
			}
			w.checkLines(t, linesCase{"all but one bad", strings.Repeat("x\n", maxLines-1) + a, []string{a}, refused, 207}, encoding)
		}
	}
}

package printable

import (
	"encoding/json"
	"reflect"
	"strconv"
	"testing"
	"unicode/utf8"
)

// Corpus has what terminals obey, each with what is shown instead.
var corpus = map[string]string{
	"":                                  "",
	"web-1":                             "web-1",
	"Zürich 東京 🚚":                       "Zürich 東京 🚚",
	`C:\temp "x"`:                       `C:\temp "x"`,
	"\x1b[2J\x1b[H":                     `\x1b[2J\x1b[H`,                    // clears the screen
	"\x1b]0;title\x07":                  `\x1b]0;title\a`,                   // sets the title
	"\x1b]8;;http://x\x1b\\l\x1b]8;;\a": `\x1b]8;;http://x\x1b\l\x1b]8;;\a`, // a link
	"\x1b]52;c;cm0gLXJm\x07":            `\x1b]52;c;cm0gLXJm\a`,             // writes the clipboard
	"\x1bP$q\"p\x1b\\":                  `\x1bP$q"p\x1b\`,                   // a query that is answered as input
	"\x1b[6n\x1bc":                      `\x1b[6n\x1bc`,                     // a report, a reset
	"\u009b31mred\u009d0;t\u009c":       `\u009b31mred\u009d0;t\u009c`,      // C1 as UTF-8
	"\x9b31mred":                        `\x9b31mred`,                       // C1 as bytes
	"\xff\xfe":                          `\xff\xfe`,                         // not UTF-8
	"one\ntwo\r\nover\rwrite\tb\b\v\f":  `one\ntwo\r\nover\rwrite\tb\b\v\f`, // lines
	"a\x00b\x7f":                        `a\x00b\x7f`,                       // NUL, DEL
	"user\u202egpj.exe":                 `user\u202egpj.exe`,                // right to left
	"\u2066x\u2069\u200b\u2028\ufeff":   `\u2066x\u2069\u200b\u2028\ufeff`,  // isolates, zero width, line separator
	"\U000e0041":                        `\U000e0041`,                       // a tag character
	"\x0e\x0f\x05":                      `\x0e\x0f\x05`,                     // character sets, answerback
}

func TestString(t *testing.T) {
	for in, want := range corpus {
		if got := String(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestShorten(t *testing.T) {
	for in, want := range map[string]string{"": "", "four": "four", "fives": "five…", "abcé": "abc…", "ab\xffc": "ab\xffc", "ab\xffcd": "abc…"} {
		if got := Shorten(in, 4); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// JSON keeps the value: what can be decoded is the same.
func TestJSON(t *testing.T) {
	for in := range corpus {
		text, err := json.MarshalIndent(map[string]string{"id": in}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		safe := JSON(text)
		assertShowable(t, string(safe))
		var before, after map[string]string
		if err := json.Unmarshal(text, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(safe, &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%q: %s: %q, %v", in, safe, after, err)
		}
	}
}

// An encoder other than Go's leaves C1 and formatting characters as they are.
func TestJSONOfOthers(t *testing.T) {
	got := string(JSON([]byte("{\"a\":\"\u009b31m\u202e\U000e0041\x9b\"}\n")))
	if want := `{"a":"\u009b31m\u202e\udb40\udc41` + "\uFFFD" + "\"}\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzString(f *testing.F) {
	for in := range corpus {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := String(in)
		for _, r := range got {
			if !strconv.IsGraphic(r) {
				t.Fatalf("%q: %q", in, got)
			}
		}
		assertShowable(t, string(JSON([]byte(in))))
	})
}

func assertShowable(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%q is not UTF-8", text)
	}
	for _, r := range text {
		if !strconv.IsGraphic(r) && r != '\n' && r != '\t' {
			t.Errorf("%q has %q", text, r)
		}
	}
}

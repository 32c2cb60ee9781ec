package emitter

import "testing"

// A log has what a problem document says, not the document.
func TestExcerpt(t *testing.T) {
	for body, want := range map[string]string{
		`{"type":"urn:x","status":400,"detail":"this port serves HTTP over TLS: use https","code":"malformed"}`: "this port serves HTTP over TLS: use https",
		`{"detail":"a\u001b[2J\"b\""}`: `a\x1b[2J"b"`,
		`{"detail":5}`:                 `{"detail":5}`,
		`{"error":"full"}`:             `{"error":"full"}`,
		"<html>\n<body>\n":             `<html>\n<body>`,
		"":                             "(empty)",
	} {
		if got := excerpt([]byte(body)); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

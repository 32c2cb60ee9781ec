package problem

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/http1"
)

func TestRespondSetsAllMembers(t *testing.T) {
	var response http1.Response
	Respond(&response, Problem{Code: Overloaded, Detail: "the queue is full", PacketID: "p-1", RetryAfter: 7})
	if response.Status != 503 || response.ContentType != "application/problem+json" || response.RetryAfter != 7 {
		t.Errorf("%+v", response)
	}
	want := `{"type":"urn:logstreamer:problem:overloaded","title":"No capacity is available now","status":503,` +
		`"detail":"the queue is full","code":"overloaded","packet_id":"p-1"}`
	if got := string(response.Body); got != want {
		t.Errorf("body = %s\nwant   %s", got, want)
	}
}

func TestRespondOmitsEmptyFields(t *testing.T) {
	var response http1.Response
	Respond(&response, Problem{Code: TooLarge, Status: 431})
	want := `{"type":"urn:logstreamer:problem:too_large","title":"The request is too large","status":431,"code":"too_large"}`
	if got := string(response.Body); got != want {
		t.Errorf("body = %s\nwant   %s", got, want)
	}
	if response.Status != 431 || response.RetryAfter != 0 {
		t.Errorf("%+v, want the problem's Status, 431, and no Retry-After", response)
	}
}

func TestRefusalsHaveStatusAndTitle(t *testing.T) {
	want := map[Code]int{
		"malformed": 400, "invalid_packet": 400, "not_found": 404, "method_not_allowed": 405,
		"slow_request": 408, "too_large": 413, "unsupported_encoding": 415,
		"rate_limited": 429, "no_analyzer": 503, "overloaded": 503, "draining": 503,
		"journal_unwritable": 503, "shed": 503, "paused": 503,
		"unauthorized": 401, "emitter_not_allowed": 403, "too_many_failures": 429,
	}
	refusals := Refusals()
	if len(refusals) != len(want) {
		t.Errorf("%d refusals, want %d", len(refusals), len(want))
	}
	for _, code := range refusals {
		if got := code.Status(); got != want[code] {
			t.Errorf("%s: status %d, want %d", code, got, want[code])
		}
		if code.Title() == Code("").Title() {
			t.Errorf("%s has no title", code)
		}
	}
	if AckTimeout.Status() != 504 {
		t.Errorf("%s: status %d, want 504", AckTimeout, AckTimeout.Status())
	}
	if Code("made up").Status() != 500 {
		t.Error("the status of an unknown code is not 500")
	}
}

func TestAppendQuotedRoundTrip(t *testing.T) {
	for _, text := range []string{
		"", "plain", `"quoted" \ back`, "line\r\n\ttab", "\x00\x1f\x7f", "é 漢 😀", "\u2028", strings.Repeat("a\n", 500),
	} {
		var got string
		if err := json.Unmarshal(AppendQuoted(nil, text), &got); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got != text {
			t.Errorf("%q was decoded as %q", text, got)
		}
	}
	if got := string(AppendQuoted(nil, "a\xff\xfeb")); got != "\"a\uFFFD\uFFFDb\"" {
		t.Errorf("invalid UTF-8 became %s", got)
	}
}

func FuzzAppendJSONIsValid(f *testing.F) {
	f.Add("malformed", "at byte 3", "p-1", 0)
	f.Add("\x00\"", "\xff\x80\\", "\u2028\ud7ff", -1)
	f.Fuzz(func(t *testing.T, code, detail, packetID string, status int) {
		document := Problem{Code: Code(code), Status: status, Detail: detail, PacketID: packetID}.AppendJSON(nil)
		var got struct {
			Type, Title, Detail, Code string
			Status                    int
			PacketID                  string `json:"packet_id"`
		}
		if err := json.Unmarshal(document, &got); err != nil {
			t.Fatalf("%q: %v", document, err)
		}
		if got.Detail != valid(detail) || got.PacketID != valid(packetID) || got.Code != valid(code) {
			t.Fatalf("%q has other values than its problem", document)
		}
		if got.Title == "" || got.Status == 0 || !strings.HasPrefix(got.Type, "urn:logstreamer:problem:") {
			t.Fatalf("%q lacks a member", document)
		}
	})
}

// valid replaces each invalid byte, as encoding/json does.
func valid(text string) string {
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, "%c", r)
	}
	return b.String()
}

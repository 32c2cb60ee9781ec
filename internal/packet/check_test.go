package packet

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckAccepts(t *testing.T) {
	for name, body := range acceptedBodies() {
		t.Run(name, func(t *testing.T) {
			info, err := checkBoth(t, []byte(body), 10)
			if err != nil {
				t.Fatalf("Check: %v\n%s", err, body)
			}
			compareWithReference(t, []byte(body), 10, info, err)
		})
	}
}

func TestCheckReturnsInfo(t *testing.T) {
	body := []byte(`{"packet_id":"p\n1","messages":[` +
		`{"timestamp":1,"level":"debug","message":"a"},` +
		`{"timestamp":2,"level":"Warning","message":"b"},` +
		`{"timestamp":3,"level":"INFO","message":"c"}],"emitter_id":"e"}`)
	info, err := checkBoth(t, body, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(info.PacketID.Raw(body)); got != `p\n1` {
		t.Errorf("packet id as sent: %q", got)
	}
	if got := string(info.PacketID.AppendDecoded(nil, body)); got != "p\n1" {
		t.Errorf("packet id: %q", got)
	}
	if got := string(info.EmitterID.AppendDecoded(nil, body)); got != "e" {
		t.Errorf("emitter id: %q", got)
	}
	if info.Messages != 3 || info.Level != LevelWarn {
		t.Errorf("%d messages of level %v, want 3 of WARN", info.Messages, info.Level)
	}
}

func TestCheckParsesAllLevelNames(t *testing.T) {
	for want, names := range referenceLevels {
		for lower := range strings.FieldsSeq(names) {
			for _, name := range []string{lower, strings.ToUpper(lower), strings.ToUpper(lower[:1]) + lower[1:]} {
				body := []byte(packetWith(`{"level":"` + name + `","timestamp":1,"message":"a message of some length"}`))
				if info, err := checkBoth(t, body, 1); err != nil || info.Level != want {
					t.Errorf("%s: %v, %v, want %v", name, info.Level, err, want)
				}
			}
		}
	}
}

func TestCheckIgnoresASecondLevel(t *testing.T) {
	body := []byte(packetWith(`{"timestamp":1,"level":"INFO","level":"ERROR","message":"m"}`))
	if info, err := checkBoth(t, body, 1); err == nil || info.Level != LevelInfo {
		t.Errorf("%v, %v", info.Level, err)
	}
}

// TestPairsOfAllLengths covers all lengths of names and plain prefixes of values, so
// that reads of marks end at each position of a pair.
func TestPairsOfAllLengths(t *testing.T) {
	for length := range 131 {
		long := strings.Repeat("n", length)
		for _, end := range []string{"", "v", `\n`, "é", "\x01", "\xff", `\`, `"`} {
			for _, pair := range []string{`"` + long + `":"` + end + `"`, `"` + long + `": "` + end + `"`, `"n":"` + long + end + `"`, `"` + long + end + `":"v"`} {
				body := []byte(packetWith(`{"timestamp":1,"level":"INFO","metadata":{` + pair + `},"message":"m"}`))
				info, err := checkBoth(t, body, 1)
				compareWithReference(t, body, 1, info, err)
			}
		}
	}
}

func TestCheckFindsLineBreaks(t *testing.T) {
	for body, want := range map[string]bool{
		plainPacket:                       false,
		plainPacket + "\n":                false,
		plainPacket + "\r\n":              false,
		plainPacket + "\n\n":              true,
		plainPacket + "\n ":               true,
		"\n" + plainPacket:                true,
		extended("\n\"x\":1"):             true,
		extended(`"x":[1` + "\n" + `]`):   true,
		extended(`"x":"\n"`):              false,
		extendedMessage("\"x\": \n1"):     true,
		packetWith(plainMessage + "\n"):   true,
		packetWith("\r\n" + plainMessage): true,
	} {
		if info, err := checkBoth(t, []byte(body), 10); err != nil || info.SpansLines != want {
			t.Errorf("%q: %v, %v, want %v", body, info.SpansLines, err, want)
		}
	}
}

// TestMembersOutsideTheFastPath places members that the fast path cannot read at each position
// among others.
func TestMembersOutsideTheFastPath(t *testing.T) {
	usual := []string{`"timestamp":1640995200000`, `"level":"INFO"`, `"message":"hello"`, `"metadata":{"a":"b","c": "d"}`}
	unusual := []string{
		`"timestamp" : 1640995200000`, `"timestamp":1`, `"timestamp":0640995200000`, `"timestamp":1640995200000.5`, `"timestamp":164099520000x`,
		`"timestamp":16409952000001234567`, `"timestamp":1640995200000 `, `"level":"INFO`, `"level":"Info"`, `"level":"\u0049NFO"`, "\"level\":\x02INFO\"",
		"\"level\":\"INFO\x02", `"level":""`, `"level":3`, `"level" :"warn"`, `"message":""`, `"message":"\n"`, `"message":"é"`, "\"message\":\"\xff\"",
		`"message":null`, "\"message\":\n\"m\"", `"message":"` + strings.Repeat("m", 2000) + `"`, `"metadata":{}`, `"metadata":{"a":"\t"}`,
		`"metadata":{"\t":"a"}`, `"metadata":{"a" :"b"}`, `"metadata":{"a":  "b" , "c":"d" }`, `"metadata":{"a":"b"]`, `"metadata":{"a":1}`, `"metadata":[]`,
		`"metadata":{"a":"b",}`, `"metadata":{"a":"` + strings.Repeat("m", 100) + `"}`, `"metadata":{"` + strings.Repeat("m", 100) + `":""}`,
		`"x":1`, `"levels":"INFO"`, `"le\u0076el":"INFO"`, ``,
	}
	for place := range usual {
		for _, member := range unusual {
			for _, insert := range []int{0, 1} { // in place of the usual member, or in addition to it
				members := slices.Concat(usual[:place], []string{member}, usual[place+1-insert:])
				body := []byte(packetWith(plainMessage + ",{" + strings.Join(members, ",") + "}"))
				info, err := checkBoth(t, body, 10)
				compareWithReference(t, body, 10, info, err)
			}
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, row := range refusalRows() {
		t.Run(row.name, func(t *testing.T) {
			before, after, marked := strings.Cut(row.body, mark)
			if !marked {
				t.Fatal("the row has no mark")
			}
			body := []byte(before + after)
			info, err := checkBoth(t, body, 10)
			refusal, ok := errors.AsType[*Refusal](err)
			if !ok {
				t.Fatalf("accepted: %s", body)
			}
			if refusal.Code != row.code || refusal.Path != row.path || refusal.Offset != len(before) {
				t.Errorf("%s at %q, byte %d; want %s at %q, byte %d\n%s\n%s",
					refusal.Code, refusal.Path, refusal.Offset, row.code, row.path, len(before), refusal.Detail, body)
			}
			compareWithReference(t, body, 10, info, err)
		})
	}
}

// Recheck accepts lone surrogates in ids, as an earlier version did; all other rules apply.
func TestRecheckAcceptsLoneSurrogates(t *testing.T) {
	for _, row := range refusalRows() {
		body := []byte(strings.Replace(row.body, mark, "", 1))
		info, err := Recheck(body, 10)
		if want := strings.Contains(row.name, "surrogate") && row.code == CodeInvalid; (err == nil) != want {
			t.Errorf("%s: %v", row.name, err)
		} else if want && (info.PacketID.IsEmpty() || info.EmitterID.IsEmpty()) {
			t.Errorf("%s: the ids are empty", row.name)
		}
	}
}

func TestCheckRefusesEveryTruncation(t *testing.T) {
	body := []byte(plainPacket)
	for end := range len(plainPacket) {
		body := body[:end:end] // a read behind the end panics
		_, err := checkBoth(t, body, 10)
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || refusal.Code != CodeMalformed || refusal.Offset != end {
			t.Errorf("%s\n%+v", body, err)
		}
	}
}

func TestCheckReadsNothingBeyondTheEnd(t *testing.T) {
	for name, body := range acceptedBodies() {
		for end := range len(body) {
			_, _ = checkBoth(t, []byte(body)[:end:end], 10)
		}
		if _, err := checkBoth(t, []byte(body)[:len(body):len(body)], 10); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusalDetails(t *testing.T) {
	for body, want := range map[string]string{
		``:                         `the packet is not valid JSON: a value is missing before the end at byte 0`,
		`{}`:                       `emitter_id is required but missing from the object that ends here (byte 1)`,
		`[]`:                       `the packet must be an object but is an array (byte 0)`,
		`{"packet_id":"a\ud83db"}`: `packet_id must not have a surrogate without the other half of its pair (byte 15)`,
		`{"packet_id":7}`:          `packet_id must be a string that is not empty but is a number (byte 13)`,
		`{"a":1}}`:                 `emitter_id is required but missing from the object that ends here (byte 6)`,
		`{"a":1;`:                  `the packet is not valid JSON: a comma or } is missing before ; at byte 6`,
		plainPacket + `,`:          `the packet is not valid JSON: nothing may follow the packet but , does at byte 139`,
		"{\"packet_id\":\"\n":      `packet_id is not valid JSON: the control character U+000A must be escaped in a string at byte 14`,
		packetWith(`{"a":tru}`):    `messages[0].a is not valid JSON: a value is missing before t at byte 55`,
	} {
		if _, err := checkBoth(t, []byte(body), 10); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", body, err, want)
		}
	}
}

func TestRefusalHasThePacketID(t *testing.T) {
	for body, want := range map[string]string{
		`{"packet_id":"p-1","messages":7}`:                 "p-1",
		`{"packet_id":"p-1","packet_id":"p-2"}`:            "p-1",
		`{"messages":7,"packet_id":"p-1"}`:                 "",
		`{"packet_id":""}`:                                 "",
		`{"packet_id":"` + strings.Repeat("x", 2000) + `"`: "",
	} {
		_, err := Check([]byte(body), 10)
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok {
			t.Fatalf("accepted: %s", body)
		}
		if got := string(refusal.PacketID.Raw([]byte(body))); got != want || refusal.PacketID.IsEmpty() != (want == "") {
			t.Errorf("%s: id %q, want %q", body, got, want)
		}
	}
}

// compareWithReference compares the result of Check with that of the reference, and
// checks the fields of the refusal.
func compareWithReference(t interface {
	Helper()
	Fatalf(format string, arguments ...any)
}, body []byte, maxMessages int, info Info, err error) {
	t.Helper()
	want, wantErr := reference(body, maxMessages)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Check returns %v, the reference %v\n%q", err, wantErr, body)
	}
	if err == nil {
		got := verdict{
			emitterID: string(info.EmitterID.AppendDecoded(nil, body)),
			packetID:  string(info.PacketID.AppendDecoded(nil, body)),
			messages:  info.Messages,
			level:     info.Level,
		}
		if spans := bytes.IndexByte(body[:len(body)-1], '\n') >= 0; info.SpansLines != spans {
			t.Fatalf("spans lines: %v, want %v\n%q", info.SpansLines, spans, body)
		}
		if got != want {
			t.Fatalf("Check returns %+v, the reference %+v\n%q", got, want, body)
		}
		return
	}
	refusal, ok := errors.AsType[*Refusal](err)
	switch {
	case !ok:
		t.Fatalf("the error is a %T", err)
	case refusal.Code != CodeMalformed && refusal.Code != CodeInvalid && refusal.Code != CodeTooLarge:
		t.Fatalf("unknown code %q", refusal.Code)
	case refusal.Code == CodeMalformed && wantErr.Error() != "not JSON":
		t.Fatalf("%q is refused as malformed but is JSON (%v): %v", body, wantErr, err)
	case refusal.Code == CodeTooLarge && info.Messages != maxMessages:
		t.Fatalf("%q is refused as too large after %d messages", body, info.Messages)
	case refusal.Offset < 0 || refusal.Offset > len(body):
		t.Fatalf("offset %d of %d", refusal.Offset, len(body))
	case refusal.Detail == "" || !utf8.ValidString(refusal.Detail) || len(refusal.Detail) > 500:
		t.Fatalf("detail %q", refusal.Detail)
	}
}

package packet

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckAccepts(t *testing.T) {
	for name, body := range acceptedBodies() {
		t.Run(name, func(t *testing.T) {
			info, err := Check([]byte(body), 10)
			if err != nil {
				t.Fatalf("Check: %v\n%s", err, body)
			}
			compareWithReference(t, []byte(body), 10, info, err)
		})
	}
}

func TestCheckLearns(t *testing.T) {
	body := []byte(`{"packet_id":"p\n1","messages":[` +
		`{"timestamp":1,"level":"debug","message":"a"},` +
		`{"timestamp":2,"level":"Warning","message":"b"},` +
		`{"timestamp":3,"level":"INFO","message":"c"}],"emitter_id":"e"}`)
	info, err := Check(body, 3)
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

func TestCheckRefuses(t *testing.T) {
	for _, row := range refusalRows() {
		t.Run(row.name, func(t *testing.T) {
			before, after, marked := strings.Cut(row.body, mark)
			if !marked {
				t.Fatal("the row has no mark")
			}
			body := []byte(before + after)
			info, err := Check(body, 10)
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

func TestCheckRefusesEveryTruncation(t *testing.T) {
	body := []byte(plainPacket)
	for end := range len(plainPacket) {
		body := body[:end:end] // a read behind the end panics
		_, err := Check(body, 10)
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || refusal.Code != CodeMalformed || refusal.Offset != end {
			t.Errorf("%s\n%+v", body, err)
		}
	}
}

func TestCheckReadsNothingBehindTheEnd(t *testing.T) {
	for name, body := range acceptedBodies() {
		for end := range len(body) {
			_, _ = Check([]byte(body)[:end:end], 10)
		}
		if _, err := Check([]byte(body)[:len(body):len(body)], 10); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusalSentences(t *testing.T) {
	for body, want := range map[string]string{
		``:                      `the packet is not valid JSON: a value is missing before the end at byte 0`,
		`{}`:                    `emitter_id is required but missing from the object that ends here (byte 1)`,
		`[]`:                    `the packet must be an object but is an array (byte 0)`,
		`{"packet_id":7}`:       `packet_id must be a string that is not empty but is a number (byte 13)`,
		`{"a":1}}`:              `emitter_id is required but missing from the object that ends here (byte 6)`,
		`{"a":1;`:               `the packet is not valid JSON: a comma or } is missing before ; at byte 6`,
		plainPacket + `,`:       `the packet is not valid JSON: nothing may follow the packet but , does at byte 139`,
		"{\"packet_id\":\"\n":   `packet_id is not valid JSON: the control character U+000A must be escaped in a string at byte 14`,
		packetWith(`{"a":tru}`): `messages[0].a is not valid JSON: a value is missing before t at byte 55`,
	} {
		if _, err := Check([]byte(body), 10); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", body, err, want)
		}
	}
}

func TestRefusalKnowsThePacketID(t *testing.T) {
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

func TestCheckAllocatesNothing(t *testing.T) {
	for name, body := range acceptedBodies() {
		body := []byte(body)
		if allocations := testing.AllocsPerRun(100, func() { _, _ = Check(body, 10) }); allocations != 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
}

// compareWithReference holds what Check said about a body against what the
// reference says, and the refusal's form against its promises.
func compareWithReference(t interface {
	Helper()
	Fatalf(format string, arguments ...any)
}, body []byte, maxMessages int, info Info, err error) {
	t.Helper()
	want, wantErr := reference(body, maxMessages)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Check says %v, the reference says %v\n%q", err, wantErr, body)
	}
	if err == nil {
		got := verdict{
			emitterID: string(info.EmitterID.AppendDecoded(nil, body)),
			packetID:  string(info.PacketID.AppendDecoded(nil, body)),
			messages:  info.Messages,
			level:     info.Level,
		}
		if got != want {
			t.Fatalf("Check learned %+v, the reference %+v\n%q", got, want, body)
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
		t.Fatalf("%q is called malformed but is JSON (%v): %v", body, wantErr, err)
	case refusal.Code == CodeTooLarge && info.Messages != maxMessages:
		t.Fatalf("%q is called too large after %d messages", body, info.Messages)
	case refusal.Offset < 0 || refusal.Offset > len(body):
		t.Fatalf("offset %d of %d", refusal.Offset, len(body))
	case refusal.Detail == "" || !utf8.ValidString(refusal.Detail) || len(refusal.Detail) > 500:
		t.Fatalf("detail %q", refusal.Detail)
	}
}

package syslog

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

// FuzzSyslog checks that messages which go-syslog accepts as RFC 5424 have the same parts here, and
// that any data makes valid packets, in whatever parts it arrives.
func FuzzSyslog(f *testing.F) {
	f.Add([]byte("<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [a@1 iut=\"3\\]\" b=\"\"][b x=\"\\]\\\"\"] \xEF\xBB\xBFtext"), uint8(7))
	f.Add([]byte("<34>Oct 11 22:14:15 h su[1]: text\n4 <1>a\n<2>b\x00"), uint8(3))
	f.Add([]byte("<0>1 - - - - - -"), uint8(1))
	f.Add([]byte("<13>Feb 29 2024 22:14:15.5 h: x\n99999999 x"), uint8(200))
	parser := rfc5424.NewParser()
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		compareFramings(t, data, int(size)+1)
		c := calendar{zone: time.UTC}
		l := parse(data, arrival, &c)
		if parsed, err := parser.Parse(data); err == nil && utf8.Valid(data) {
			compare(t, l, parsed.(*rfc5424.SyslogMessage))
		}
		fixture := new(protocoltest.System).Start(t, "syslog")
		tr := translator{receiver: fixture.Receiver, calendar: c}
		if len(data) > 0 {
			tr.persist(t.Context(), receiver.Sender{}, []frame{{data, []byte("peer")}}, len(data))
		}
	})
}

func compareFramings(t *testing.T, data []byte, size int) {
	whole, rest, large := frames(string(data), len(data)+1, 64)
	parts, restOfParts, largeParts := frames(string(data), size, 64)
	a, _ := json.Marshal([]any{whole, rest, large})
	b, _ := json.Marshal([]any{parts, restOfParts, largeParts})
	if !bytes.Equal(a, b) {
		t.Errorf("%q\n%s whole\n%s in parts of %d", data, a, b, size)
	}
}

func compare(t *testing.T, l line, want *rfc5424.SyslogMessage) {
	if l.priority != int(*want.Priority) {
		t.Errorf("the priority is %d, want %d", l.priority, *want.Priority)
	}
	if want.Timestamp != nil && want.Timestamp.Year() >= minYear && want.Timestamp.Year() <= maxYear && l.nanoseconds != want.Timestamp.UnixNano() {
		t.Errorf("the time is %d, want %v", l.nanoseconds, want.Timestamp)
	}
	for _, part := range []struct {
		got  []byte
		want *string
	}{{l.host, want.Hostname}, {l.app, want.Appname}, {l.proc, want.ProcID}, {l.id, want.MsgID}} {
		if (part.want == nil) != (len(part.got) == 0) || part.want != nil && *part.want != string(part.got) {
			t.Errorf("%q, want %q", part.got, value(part.want))
		}
	}
	if text := value(want.Message); text != string(l.text) && text != "\xEF\xBB\xBF"+string(l.text) {
		t.Errorf("the text is %q, want %q", l.text, text)
	}
	if (want.StructuredData == nil) != (len(l.structured) == 0) {
		t.Errorf("the structured data is %q, want %v", l.structured, want.StructuredData)
	}
}

func value(of *string) string {
	if of == nil {
		return ""
	}
	return *of
}

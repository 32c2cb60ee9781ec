package dedupe

import (
	"strings"
	"testing"
	"time"
)

func TestFingerprints(t *testing.T) {
	s := newSecret()
	base := of("ab", "c", "m")
	same := func(other sample) (ids, content bool) {
		f, g := s.fingerprint("", base.info, base.body, ""), s.fingerprint("", other.info, other.body, "")
		return f.ids == g.ids, f.content == g.content
	}
	long := strings.Repeat("e", 1000)
	for name, test := range map[string]struct {
		other        sample
		ids, content bool
	}{
		"itself":                         {of("ab", "c", "m"), true, true},
		"other content":                  {of("ab", "c", "n"), true, false},
		"another spelling of an id":      {of(`\u0061b`, `\u0063`, "m"), true, false},
		"another packet":                 {of("ab", "d", "m"), false, false},
		"ids that join to the same text": {of("a", "bc", "m"), false, false},
		"longer than what is on a stack": {of(long, long, "m"), false, false},
	} {
		if ids, content := same(test.other); ids != test.ids || content != test.content {
			t.Errorf("%s: the same ids: %v, the same content: %v; want %v, %v", name, ids, content, test.ids, test.content)
		}
	}
	if f, g := s.fingerprint("", base.info, base.body, ""), s.fingerprint("p", base.info, base.body, ""); f.ids == g.ids || f.content != g.content {
		t.Error("the ids do not depend on the principal, or the content does")
	}
	if f, g := s.fingerprint("", base.info, base.body, "c"), s.fingerprint("", base.info, of("ab", "c", "n").body, "c"); f != g || f.content == s.fingerprint("", base.info, base.body, "d").content {
		t.Error("the content of a packet is not what counts")
	}
	if f := s.fingerprint("", base.info, base.body, ""); f.ids&tombstone != 0 {
		t.Error("the first bit is set")
	}
	other := newSecret()
	if f, g := s.fingerprint("", base.info, base.body, ""), other.fingerprint("", base.info, base.body, ""); f.ids == g.ids || f.content == g.content {
		t.Error("hashes do not depend on the key")
	}
}

// A packet may be sent as an NDJSON line and alone.
func TestWhiteSpaceAroundAPacketIsNotContent(t *testing.T) {
	w := open(t, Config{Window: time.Minute, Packets: 10}, start)
	accept(t, w, numbered(1), start)
	for _, around := range [][2]string{{"", "\n"}, {"", "\r\n"}, {" \t\n", " "}} {
		if state, _ := w.begin(surrounded(numbered(1), around), start); state != Duplicate {
			t.Errorf("with %q around it the packet is %v, want Duplicate", around, state)
		}
	}
}

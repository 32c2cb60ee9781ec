package tracelist

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestEntriesAreReadAsWritten(t *testing.T) {
	list := Append(nil, 1, 1, traceparent)
	list = Append(list, 2, 5, "00-b")
	list = Append(list, 9, 1000, "00-c")
	if want := "1=" + traceparent + ", 2-5=00-b, 9-1000=00-c"; string(list) != want {
		t.Errorf("the list is %s, want %s", list, want)
	}
	var got []string
	for l := range Parse(list) {
		got = append(got, fmt.Sprintf("%d-%d %s", l.First, l.Last, l.Traceparent))
	}
	if want := []string{"1-1 " + traceparent, "2-5 00-b", "9-1000 00-c"}; !slices.Equal(got, want) {
		t.Errorf("read as %q, want %q", got, want)
	}
}

func TestLengthOfALongList(t *testing.T) {
	var list []byte
	for i := range MaxEntries {
		list = Append(list, 900+2*i, 901+2*i, traceparent)
	}
	if len(list) > 5<<10 {
		t.Errorf("the longest list has %d bytes", len(list))
	}
}

func TestUnreadableEntriesAreSkipped(t *testing.T) {
	for _, entry := range []string{"", "1", "=a", "0=a", "-1=a", "+1=a", "2-1=a", "1-=a", "1-2-3=a", "x=a", "2147483648=a", " "} {
		var got []string
		for l := range Parse([]byte(entry + ",7=ok," + entry)) {
			got = append(got, string(l.Traceparent))
		}
		if strings.Join(got, " ") != "ok" {
			t.Errorf("with %q: %q", entry, got)
		}
	}
	for range Parse([]byte("1=a,2=b")) {
		break
	}
}

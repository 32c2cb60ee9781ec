package native

import (
	"testing"
)

func TestKindOf(t *testing.T) {
	for value, want := range map[string]bodyKind{
		"": singlePacket, "application/json": singlePacket, "text/plain": singlePacket, ";;;": singlePacket,
		"application/x-www-form-urlencoded": singlePacket, "application/json; charset=latin1": singlePacket,
		"application/x-ndjsonp": singlePacket, "application/x-ndjso": singlePacket,
		"application/x-ndjson": packetLines, "Application/X-NDJSON": packetLines,
		"application/x-ndjson; charset=utf-8": packetLines, "application/x-ndjson ;x": packetLines,
	} {
		if got := kindOf([]byte(value)); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

package syslog

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// A connection keeps little memory, whatever it has sent: many frames of a byte, or large ones.
func TestKeptMemory(t *testing.T) {
	f := (&protocoltest.System{Journal: protocoltest.Journal{Discard: true}}).Start(t, "syslog")
	p := New(f.Receiver, time.UTC)
	s := &session{protocol: p, client: f.Receiver.Client(protocoltest.Client, credential.OfCertificate(nil)), peer: []byte("peer"), translator: p.newTranslator()}
	s.visit = s.add
	large := strings.Repeat(`\"`, 200<<10)
	for _, data := range [][]byte{
		bytes.Repeat([]byte("y\n"), 100_000),
		fmt.Appendf(nil, "<13>%s\n", large),
		fmt.Appendf(nil, "<13>1 - h a - - [id name=\"%s\"]\n", large),
	} {
		if used, err := s.Consume(t.Context(), data, false); used != len(data) || err != nil {
			t.Fatal(used, err)
		}
		frames, elements := cap(s.frames), cap(s.elements.key)+cap(s.elements.value)
		if frames > maxKeptFrames || elements > record.KeptBytes {
			t.Errorf("after %.20q…: %d frames, %d bytes of elements", data, frames, elements)
		}
	}
}

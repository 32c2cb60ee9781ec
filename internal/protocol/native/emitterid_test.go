package native

import (
	"net/http"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// The packets of these tests have the emitter e.
const ownEmitter, otherEmitter = "Emitter-Id: e", "emitter-id: x"

func TestEmitterIDStreams(t *testing.T) {
	const source = "docs/sharding.md"
	for _, c := range []streamCase{
		taken("the emitter's", source, posting("1", ownEmitter), "1"),
		taken("with and without on one connection", source, posting("1", ownEmitter)+posting("2")+posting("3", ownEmitter), "1", "2", "3"),
		taken("the same field twice", source, posting("1", ownEmitter, ownEmitter), "1"),
		taken("of chunks", source, chunking("1", ownEmitter), "1"),
		malformed("two different fields", source, posting("1", ownEmitter, otherEmitter)),
		refusedAs("another emitter's", source, posting("1", otherEmitter), 400, "malformed", false),
		refusedAs("another emitter's, of chunks", source, chunking("1", otherEmitter), 400, "malformed", false),
		refusedAs("an empty field", source, posting("1", "Emitter-Id: "), 400, "malformed", false),
		refusedAs("the beginning of the emitter's", source, posting("1", "Emitter-Id: ee"), 400, "malformed", false),
	} {
		for _, w := range bothWays(t, standard()) {
			run := &caseRun{streamCase: c, T: t, way: w}
			run.run()
		}
	}
}

// In NDJSON, each line must have the emitter of the header.
func TestEmitterIDOfLines(t *testing.T) {
	foreign := strings.Replace(aPacket("2", 0), `"e"`, `"x"`, 1)
	for _, w := range serveBothWays(t, standard()) {
		a, stored := w.send(t, w.form(aPacket("1", 0)+"\n"+foreign+"\n", "Content-Type: application/x-ndjson", ownEmitter))
		if a.StatusCode != http.StatusMultiStatus || len(stored) != 1 {
			t.Errorf("%s: %d %s, %d stored", w.name, a.StatusCode, a.text, len(stored))
		}
		for _, want := range []string{`"line":2`, `"packet_id":"2"`, `"code":"malformed"`, `Emitter-Id is \"e\"`} {
			if !strings.Contains(a.text, want) {
				t.Errorf("%s: %s lacks %s", w.name, a.text, want)
			}
		}
		a, stored = w.send(t, w.form(aPacket("1", 0)+"\n"+foreign+"\n", "Content-Type: application/x-ndjson"))
		if a.StatusCode != http.StatusAccepted || len(stored) != 2 {
			t.Errorf("%s: without the header: %d %s", w.name, a.StatusCode, a.text)
		}
	}
}

// The header is compared with the decoded emitter_id. A mismatch leaves the connection open, and
// the response names the packet.
func TestMisdirectedPacket(t *testing.T) {
	for _, w := range serveBothWays(t, standard()) {
		a, _ := w.send(t, w.form(aPacket("p", 0), otherEmitter))
		refusal := a.wantRefusal(t, http.StatusBadRequest, problem.Malformed)
		if a.Close || !strings.Contains(refusal.Detail, `Emitter-Id is "x"`) || refusal.PacketID != "p" {
			t.Errorf("%s: %+v", w.name, refusal)
		}
		escaped := strings.Replace(aPacket("q", 0), `"e"`, `"\u0065"`, 1)
		a, _ = w.send(t, w.form(escaped, ownEmitter))
		a.wantAccepted(t, "q")
	}
}

//go:build linux

package cluster

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// envelopeEvent is a line of a distributor's log, with LOG_LEVEL=debug, about an envelope.
type envelopeEvent struct {
	At       time.Time `json:"time"`
	Message  string    `json:"msg"`
	Stream   string    `json:"stream"`
	Sequence uint64    `json:"sequence"`
	Packets  []string  `json:"packets"` // EMITTER_ID PACKET_ID
}

// evidence is the content of the distributors' logs about envelopes, and the killed processes.
type evidence struct {
	killed []kill
	// again and published are the repeated deliveries, and the repeated publications, of envelopes
	// by packet.
	again, published map[string][]envelopeEvent
	// acked is when distributors acknowledged an envelope, by its stream and sequence.
	acked map[place][]time.Time
}

// place is the position of an envelope: stream and sequence.
type place struct {
	stream   string
	sequence uint64
}

func newEvidence(killed []kill) evidence {
	return evidence{killed: killed, again: make(map[string][]envelopeEvent), published: make(map[string][]envelopeEvent), acked: make(map[place][]time.Time)}
}

// read adds a distributor's log.
func (e evidence) read(log []byte) {
	for line := range linesOf(log) {
		var one envelopeEvent
		if !strings.Contains(line, "an envelope") || json.Unmarshal([]byte(line), &one) != nil {
			continue
		}
		switch one.Message {
		case "an envelope comes again":
			one.addTo(e.again)
		case "an envelope is published again":
			one.addTo(e.published)
		case "an envelope is acknowledged":
			at := place{one.Stream, one.Sequence}
			e.acked[at] = append(e.acked[at], one.At)
		}
	}
}

func (one envelopeEvent) addTo(events map[string][]envelopeEvent) {
	for _, name := range one.Packets {
		_, id, _ := strings.Cut(name, " ")
		events[id] = append(events[id], one)
	}
}

// wasKilled reports whether a process was killed between two times.
func (e evidence) wasKilled(k kind, number int, from, to time.Time) bool {
	return slices.ContainsFunc(e.killed, func(one kill) bool {
		return one.kind == k && (number == anyNumber || one.number == number) && !one.ended.Before(from) && one.began.Before(to)
	})
}

// anyNumber is the number of any process of a kind.
const anyNumber = -1

const (
	// publishTimeout is the time for which a distributor retries to publish an envelope.
	publishTimeout = 10 * time.Second
	// skew is the maximum delay of a log line after its event.
	skew = time.Second
)

// causeOf returns why a packet that was delivered is delivered again, or "" without evidence.
func (e evidence) causeOf(id string, first, again delivery) string {
	if !first.answered && e.wasKilled(recorders, first.recorder, first.at, again.at) {
		return "an analyzer was killed before its answer"
	}
	for _, one := range e.again[id] {
		if one.At.Before(first.at) || one.At.After(again.at.Add(skew)) {
			continue
		}
		if e.wasKilled(distributors, first.distributor, first.at, one.At) {
			return "a distributor was killed before its acknowledgement, and its envelope came again"
		}
		for _, acked := range e.acked[place{one.Stream, one.Sequence}] {
			if acked.Before(one.At) && e.wasKilled(servers, anyNumber, acked.Add(-skew), one.At) {
				return "a NATS server was killed that had the acknowledgement, and the envelope came again"
			}
		}
	}
	for _, one := range e.published[id] {
		if one.At.Before(again.at) && e.wasKilled(servers, anyNumber, one.At.Add(-publishTimeout), one.At) {
			return "a NATS server was killed before it had answered the publication, which was repeated"
		}
	}
	return ""
}

// readLogs returns the evidence in the logs of all distributors.
func (y *system) readLogs(killed []kill) evidence {
	y.t.Helper()
	e := newEvidence(killed)
	for _, d := range y.distributors {
		log, err := os.ReadFile(d.log())
		if err != nil {
			y.t.Fatal(err)
		}
		e.read(log)
	}
	return e
}

// explainDuplicates counts duplicates by cause. A duplicate without evidence of a cause fails the
// test.
func (y *system) explainDuplicates(killed []kill) {
	y.t.Helper()
	e := y.readLogs(killed)
	if len(e.acked) == 0 {
		y.t.Error("the logs have no acknowledgement")
	}
	causes := make(map[string]int)
	for id, all := range y.deliveries() {
		for i := 1; i < len(all); i++ {
			first, again := all[i-1], all[i]
			cause := e.causeOf(id, first, again)
			if cause == "" {
				y.t.Errorf("%s was delivered by distributor %d to analyzer %d (answered: %v), and %v later by distributor %d to analyzer %d; it came again in %v, and was published again in %v", id,
					first.distributor+1, first.recorder+1, first.answered, again.at.Sub(first.at), again.distributor+1, again.recorder+1, e.again[id], e.published[id])
			}
			causes[cause]++
		}
	}
	for cause, packets := range causes {
		y.t.Logf("%d duplicates: %s", packets, cause)
	}
}

// Each cause needs its own evidence: a kill alone explains no duplicate.
func TestCausesOfDuplicates(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) time.Time { return time.Unix(1000, int64(seconds*1e9)) }
	comesAgain := `{"time":"1970-01-01T00:16:45Z","msg":"an envelope comes again","stream":"S","sequence":7,"packets":["e x","e 1-1"]}` // 5 s
	acked := `{"time":"1970-01-01T00:16:41Z","msg":"an envelope is acknowledged","stream":"S","sequence":7}`                            // 1 s
	resent := `{"time":"1970-01-01T00:16:43Z","msg":"an envelope is published again","packets":["e 1-1"]}`                              // 3 s
	for _, c := range []struct {
		name     string
		killed   kill
		answered bool
		log      string
		want     string
	}{
		{"no answer, analyzer killed", kill{recorders, 1, at(1), at(1)}, false, "", "an analyzer was killed"},
		{"answered, analyzer killed", kill{recorders, 1, at(1), at(1)}, true, "", ""},
		{"another analyzer killed", kill{recorders, 0, at(1), at(1)}, false, "", ""},
		{"distributor killed, envelope came again", kill{distributors, 2, at(1), at(1)}, true, comesAgain, "a distributor was killed"},
		{"distributor killed, envelope did not come again", kill{distributors, 2, at(1), at(1)}, true, acked, ""},
		{"another distributor killed", kill{distributors, 0, at(1), at(1)}, true, comesAgain, ""},
		{"distributor killed before", kill{distributors, 2, at(-1), at(-1)}, true, comesAgain, ""},
		{"server killed, acknowledgement sent", kill{servers, 0, at(1.5), at(1.5)}, true, acked + "\n" + comesAgain, "that had the acknowledgement"},
		{"server killed, no acknowledgement", kill{servers, 0, at(1.5), at(1.5)}, true, comesAgain, ""},
		{"server killed after it came again", kill{servers, 0, at(5.5), at(5.5)}, true, acked + "\n" + comesAgain, ""},
		{"server killed, published again", kill{servers, 0, at(-2), at(-2)}, true, resent, "the publication"},
		{"published again without a kill", kill{recorders, 0, at(-2), at(-2)}, true, resent, ""},
		{"server killed long before the publication", kill{servers, 0, at(-9), at(-9)}, true, resent, ""},
	} {
		e := newEvidence([]kill{c.killed})
		e.read([]byte(c.log))
		first, again := delivery{1, 2, at(0), c.answered}, delivery{0, 0, at(6), true}
		if got := e.causeOf("1-1", first, again); got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

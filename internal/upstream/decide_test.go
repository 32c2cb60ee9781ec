package upstream

import (
	"testing"

	"github.com/logstreamer/logstreamer/internal/sink"
)

func TestDecide(t *testing.T) {
	const retries = 3
	sent := func(o sink.Outcome) sink.Result { return sink.Result{Outcome: o} }
	unsent := func(o sink.Outcome) sink.Result { return sink.Result{Outcome: o, Unsent: true} }
	for _, test := range []struct {
		name     string
		result   sink.Result
		failures int // before the request
		single   action
		batch    action
	}{
		{"delivered", sent(sink.Delivered), 0, settle, settle},
		{"delivered after failures", sent(sink.Delivered), retries, settle, settle},
		{"delivered in part", sink.Result{Exceptions: []sink.Exception{{}}}, 0, settle, settle},
		{"rejected", sent(sink.Rejected), 0, settle, split},
		{"rejected after failures", sent(sink.Rejected), retries, settle, split},
		{"rejected by the sink", unsent(sink.Rejected), 0, settle, split},
		{"throttled", sent(sink.Throttled), 0, reroute, reroute},
		{"failed", sent(sink.Failed), 0, retry, split},
		{"failed, with one retry left", sent(sink.Failed), retries - 1, retry, split},
		{"failed, without retries", sent(sink.Failed), retries, reroute, reroute},
		{"failed, to be repeated", sink.Result{Outcome: sink.Failed, Repeat: true}, retries - 1, retry, retry},
		{"failed, to be repeated, without retries", sink.Result{Outcome: sink.Failed, Repeat: true}, retries, reroute, reroute},
		{"unsent", unsent(sink.Failed), 0, reroute, reroute},
		{"lost and unreachable", sink.Result{Outcome: sink.Failed, Unsent: true, Lost: "EOF"}, 0, reroute, reroute},
		{"aborted", sent(sink.Aborted), 0, reroute, reroute},
		{"aborted before it was sent", unsent(sink.Aborted), 0, reroute, reroute},
	} {
		if got := decide(test.result, 1, test.failures, retries); got != test.single {
			t.Errorf("%s: a packet gets the action %d, want %d", test.name, got, test.single)
		}
		if got := decide(test.result, 7, test.failures, retries); got != test.batch {
			t.Errorf("%s: a batch gets the action %d, want %d", test.name, got, test.batch)
		}
	}
}

package simulate

import (
	"fmt"
	"strings"
	"testing"
)

const trace = "  trace: {rate: 1000, sizes: 1-100, for: 10s, seed: 1}\n"

func parse(t testing.TB, text string) []Test {
	t.Helper()
	tests, err := ParseTests([]byte(text), "c.yaml", three())
	must(t, err)
	return tests
}

func failuresOf(t testing.TB, text string) string {
	t.Helper()
	tests := parse(t, text)
	result, err := tests[0].Run(t.Context(), three())
	must(t, err)
	return strings.Join(result.Failures, "\n")
}

func TestExpectations(t *testing.T) {
	for _, c := range []struct{ events, expect, failure string }{
		{"[]", "{share: {a1: 0.5, a2: 0.3, a3: 0.2}}", ""},
		{"[]", "{share: {a1: 0.51}}", "c.yaml:4: tests[0].expect[0].share: the share of a1 from 0s to the end is "},
		{"[]", "{share: {a1: 0.51}, within: 1.5%}", ""},
		{"[]", "{share: {a1: 0.51}, within: 0.9%}", "allowed are "},
		{"[]", "{share: {a1: 0.51}, within: 10000}", ""},
		{"[]", "{share: {a1: 0.51}, within: 100}", "expected is 0.51: that is off by "},
		{"[{at: 2s, down: a1}]", "{share: {a2: 0.6, a3: 0.4}, from: 3s, within: bound}", ""},
		{"[{at: 2s, down: a1}]", "{share: {a2: 0.6}, from: 1s}", "the share of a2 from 1s to the end is "},
		{"[{at: 2s, drain: a1}, {at: 5s, ready: a1}]", "{share: {a1: 0}, from: 2s, to: 5s}", ""},
		{"[{at: 2s, drain: a1}, {at: 5s, ready: a1}]", "{share: {a1: 0}, from: 2s, to: 6s}", "the share of a1 from 2s to 6s"},
		{"[{at: 2s, maint: a1}]", "{share: {a1: 0}, from: 2s}", ""},
		{"[{at: 5s, weight: {a1: 0.1, a2: 0.7}}]", "{share: {a1: 0.1, a2: 0.7}, from: 5s}", ""},
		{"[{at: 1s, down: a1}, {at: 1s, down: a2}, {at: 1s, down: a3}]", "{refused: 100}", "c.yaml:4: tests[0].expect[0].refused: 9"},
		{"[{at: 1s, down: a1}, {at: 1s, down: a2}, {at: 1s, down: a3}]", "{share: {a1: 0.5}, from: 2s}", "no messages were routed from 2s on"},
		{"[{at: 0s, pace: {a1: 1000/s, a2: 1000/s, a3: 1000/s}}]", "{p99_wait: 10ms}", " s, expected are at most 0.01"},
		{"[{at: 0s, pace: {a1: 1000/s, a2: 1000/s, a3: 1000/s}}]", "{longest_queue: 10}", " packets, expected are at most 10"},
		{"[]", "{longest_queue: 10}", ""},
		{"[]", "{p99_wait: 10ms}", ""},
	} {
		text := fmt.Sprintf("tests:\n- name: n\n%s  expect: [%s]\n  events: %s\n", trace, c.expect, c.events)
		failures := failuresOf(t, text)
		if (failures == "") != (c.failure == "") || !strings.Contains(failures, c.failure) {
			t.Errorf("%s %s: %q, want %q", c.events, c.expect, failures, c.failure)
		}
	}
}

func TestParseTestsRejects(t *testing.T) {
	for text, want := range map[string]string{
		"tests: 5":                                                "c.yaml:1: tests: a list is needed",
		"tests: [5]":                                              "c.yaml:1: tests[0]: an object is needed, such as {key: value}",
		"tests:\n- nmae: x":                                       `c.yaml:2: tests[0]: unknown key "nmae"; did you mean name? Known are events, expect, name, trace`,
		"tests:\n- xyz: x":                                        `unknown key "xyz". Known are events, expect, name, trace`,
		"tests:\n- {name: x}":                                     "tests[0]: a trace is needed, such as",
		"tests:\n- " + trace:                                      "tests[0]: a name is needed",
		"tests:\n- name: x\n" + trace:                             "tests[0]: something to expect is needed",
		"tests: [{trace: {rate: 0}}]":                             `tests[0].trace.rate: "0": a number above 0 and at most 1e+09 is needed`,
		"tests: [{trace: {for: 1s}}]":                             "tests[0].trace: rate is needed",
		"tests: [{trace: {rate: 1}}]":                             "tests[0].trace: for is needed",
		"tests: [{trace: {rate: 1e8, for: 1h}}]":                  "tests[0].trace: 360000000000 packets in 1h0m0s: there may be 50000000",
		"tests: [{trace: {sizes: 9-1}}]":                          `tests[0].trace.sizes: "9-1": messages of a packet are needed, such as 50 or 1-100`,
		"tests: [{trace: {for: 60}}]":                             `tests[0].trace.for: "60": a duration such as 20s is needed`,
		"tests: [{trace: {seed: -1}}]":                            `tests[0].trace.seed: "-1": an integer from 0 to`,
		"tests: [{events: [{down: a1}]}]":                         "tests[0].events[0]: at is needed",
		"tests: [{events: [{at: 1s}]}]":                           "tests[0].events[0]: a change is needed: one of down, up",
		"tests: [{events: [{at: 1s, doun: a1}]}]":                 `tests[0].events[0]: unknown key "doun". Known are at, down, drain, maint, pace, ready, up, weight`,
		"tests: [{events: [{at: 1s, down: a9}]}]":                 `tests[0].events[0].down: there is no analyzer "a9"; known are a1, a2, a3`,
		"tests: [{events: [{at: 1s, down: [a1]}]}]":               "tests[0].events[0].down: a plain value is needed",
		"tests: [{events: [{at: 1s, weight: {a1: -1}}]}]":         `tests[0].events[0].weight.a1: "-1": a number above 0`,
		"tests: [{events: [{at: 1s, weight: {a9: 1}}]}]":          `tests[0].events[0].weight.a9: there is no analyzer "a9"`,
		"tests: [{events: [{at: 1s, pace: {a1: fast}}]}]":         `tests[0].events[0].pace.a1: "fast": messages per second are needed, such as 2000/s`,
		"tests: [{expect: [{share: {a1: 1.5}}]}]":                 `tests[0].expect[0].share.a1: "1.5": a share from 0 to 1 is needed`,
		"tests: [{expect: [{share: {a1: 1}, within: close}]}]":    `tests[0].expect[0].within: "close": bound, a number of messages such as 50`,
		"tests: [{expect: [{from: 1s}]}]":                         "tests[0].expect[0]: one of share, refused, longest_queue and p99_wait is needed",
		"tests: [{expect: [{refused: 0, longest_queue: 1}]}]":     "tests[0].expect[0]: one of share",
		"tests: [{expect: [{refused: 0, from: 1s}]}]":             "tests[0].expect[0]: from, to and within go with share",
		"tests: [{expect: [{refused: -1}]}]":                      `tests[0].expect[0].refused: "-1": an integer from 0 to`,
		"tests: [{expect: [{share: {a1: 1}, from: 2s, to: 1s}]}]": "tests[0].expect[0]: to is 1s: it must be after from, which is 2s",
		"tests:\n- name: x\n" + trace + "  expect: [{refused: 0}]\n  events: [{at: 11s, down: a1}]": "c.yaml:5: tests[0].events[0].at: 11s is after the end of the trace, which is 10s",
		"tests: [":   "c.yaml: ",
		"a: 1\na: 2": "c.yaml: ",
		"- 1":        "c.yaml:1: ",
	} {
		_, err := ParseTests([]byte(text), "c.yaml", three())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that contains %q", text, err, want)
		}
	}
	for _, none := range []string{"", "# nothing", "port: 1"} {
		if tests := parse(t, none); len(tests) != 0 {
			t.Errorf("%q has %d tests", none, len(tests))
		}
	}
}

func TestSetPacesRejects(t *testing.T) {
	for text, want := range map[string]string{
		"a1":          `"a1": an analyzer and its pace are needed, such as a1=2000/s`,
		"a1=x":        `a1: "x": messages per second are needed`,
		"a1=1,a9=5/s": `there is no analyzer "a9"; known are a1, a2, a3`,
	} {
		c := three()
		if err := c.SetPaces(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that contains %q", text, err, want)
		}
	}
}

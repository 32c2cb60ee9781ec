package simulate

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Section is the key of the configuration file under which tests are.
const Section = "tests"

// Test is a test of a configuration: what is expected of a simulation.
type Test struct {
	Name    string
	trace   synthetic
	events  []Event
	expects []expectation
}

// expectation is one of share, refused, longest queue and p99 wait, whose zero value is that
// nothing is expected.
type expectation struct {
	where    node
	from, to time.Duration // to 0: the end
	shares   map[string]float64
	within   tolerance
	// maximum returns what must be at most limit.
	maximum func(Result) float64
	limit   float64
	unit    string
}

// tolerance is how many messages a share may be off: the maximum deviation at the start and at
// the end of the time if both fields are 0.
type tolerance struct {
	messages float64
	part     float64 // of the messages routed in the time
}

// ParseTests returns the tests in a configuration file, for the analyzers of the
// configuration. Errors have the line, the key, the value and what is allowed.
func ParseTests(content []byte, file string, c Config) ([]Test, error) {
	const byteOrderMark = "\xef\xbb\xbf"
	parsed, err := parser.ParseBytes(bytes.TrimPrefix(content, []byte(byteOrderMark)), 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", file, yaml.FormatError(err, false, true))
	}
	var tests []Test
	for _, document := range parsed.Docs {
		if document.Body == nil || document.Body.Type() == ast.CommentType {
			continue
		}
		err := node{file: file, Node: document.Body}.pairs(func(key string, value node) error {
			if key != Section {
				return nil
			}
			value.path = Section
			return value.list(func(n node) error {
				t, err := parseTest(n, c)
				tests = append(tests, t)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return tests, nil
}

func parseTest(n node, c Config) (t Test, err error) {
	p := testParser{config: c}
	err = n.object(map[string]func(node) error{
		"name":   func(n node) error { t.Name, err = n.text(); return err },
		"trace":  func(n node) error { t.trace, err = parseSynthetic(n); return err },
		"events": func(n node) error { return n.list(p.event) },
		"expect": func(n node) error { return n.list(p.expectation) },
	})
	sortEvents(p.events)
	t.events, t.expects = p.events, p.expects
	switch {
	case err != nil:
		return t, err
	case t.Name == "":
		return t, n.errorf("a name is needed")
	case t.trace.For == 0:
		return t, n.errorf("a trace is needed, such as {rate: 5000, sizes: 1-100, for: 60s, seed: 1}")
	case len(t.expects) == 0:
		return t, n.errorf("something to expect is needed, such as [{refused: 0}]")
	}
	return t, p.checkTimes(t.trace.For)
}

func parseSynthetic(n node) (s synthetic, err error) {
	s = synthetic{Min: 1, Max: 1}
	err = n.object(map[string]func(node) error{
		"rate":  func(n node) error { s.Rate, err = n.positive(1e9); return err },
		"sizes": func(n node) error { s.Min, s.Max, err = parseSizes(n); return err },
		"for":   func(n node) error { s.For, err = n.duration(); return err },
		"seed": func(n node) error {
			seed, err := n.integer(0, math.MaxInt)
			s.Seed = uint64(seed)
			return err
		},
	})
	switch {
	case err != nil:
		return s, err
	case s.Rate == 0:
		return s, n.errorf("rate is needed: packets per second, such as 5000")
	case s.For == 0:
		return s, n.errorf("for is needed: a duration above 0, such as 60s")
	}
	if err := s.validate(); err != nil {
		return s, n.errorf("%v", err)
	}
	return s, nil
}

// parseSizes parses 50 or 1-100.
func parseSizes(n node) (low, high int, err error) {
	text, err := n.text()
	if err != nil {
		return 0, 0, err
	}
	first, second, isRange := strings.Cut(text, "-")
	if !isRange {
		second = first
	}
	low, lowErr := strconv.Atoi(first)
	high, highErr := strconv.Atoi(second)
	if lowErr != nil || highErr != nil || low < 1 || high < low || high > fairshare.MaxMessages {
		return 0, 0, n.errorf("%q: messages of a packet are needed, such as 50 or 1-100, at most %d", text, fairshare.MaxMessages)
	}
	return low, high, nil
}

// testParser collects the events and expectations of a test.
type testParser struct {
	config  Config
	events  []Event
	expects []expectation
	times   []timed
}

// timed is a time in the file.
type timed struct {
	at    time.Duration
	where node
}

// event parses {at: 20s, down: a1}: a time and one change.
func (p *testParser) event(n node) error {
	var at *time.Duration
	var applies []func(*Simulation) error
	change := func(parse func(node) ([]func(*Simulation) error, error)) func(node) error {
		return func(n node) error {
			more, err := parse(n)
			applies = append(applies, more...)
			return err
		}
	}
	one := func(apply func(*Simulation, string) error) func(node) error {
		return change(func(n node) ([]func(*Simulation) error, error) {
			id, err := p.id(n)
			return []func(*Simulation) error{func(s *Simulation) error { return apply(s, id) }}, err
		})
	}
	each := func(parse func(node) (float64, error), apply func(*Simulation, string, float64) error) func(node) error {
		return change(func(n node) ([]func(*Simulation) error, error) { return p.changes(n, parse, apply) })
	}
	err := n.object(map[string]func(node) error{
		"at": func(n node) error {
			d, err := n.duration()
			at = &d
			p.times = append(p.times, timed{d, n})
			return err
		},
		"down":   one((*Simulation).down),
		"up":     one((*Simulation).up),
		"drain":  one(func(s *Simulation, id string) error { return s.setOut(id, upstream.Drain) }),
		"maint":  one((*Simulation).maintain),
		"ready":  one(func(s *Simulation, id string) error { return s.setOut(id, 0) }),
		"weight": each(func(n node) (float64, error) { return n.positive(fairshare.MaxWeight) }, (*Simulation).setWeight),
		"pace":   each(parsePace, (*Simulation).setPace),
	})
	switch {
	case err != nil:
		return err
	case at == nil:
		return n.errorf("at is needed: when it happens, such as 20s")
	case len(applies) == 0:
		return n.errorf("a change is needed: one of down, up, drain, maint, ready, weight, pace")
	}
	for _, apply := range applies {
		p.events = append(p.events, Event{*at, apply})
	}
	return nil
}

// changes parses a value for each of some analyzers, and returns what applies them.
func (p *testParser) changes(n node, parse func(node) (float64, error), apply func(*Simulation, string, float64) error) (all []func(*Simulation) error, err error) {
	err = p.perAnalyzer(n, parse, func(id string, value float64) {
		all = append(all, func(s *Simulation) error { return apply(s, id, value) })
	})
	return all, err
}

// id parses the id of an analyzer.
func (p *testParser) id(n node) (string, error) {
	id, err := n.text()
	if err == nil {
		err = p.checkID(n, id)
	}
	return id, err
}

func (p *testParser) checkID(n node, id string) error {
	var known []string
	for _, a := range p.config.Analyzers {
		known = append(known, a.ID)
	}
	if slices.Contains(known, id) {
		return nil
	}
	return n.errorf("there is no analyzer %q; known are %s", id, strings.Join(known, ", "))
}

// perAnalyzer parses {a1: 0.2, a2: 0.3}.
func (p *testParser) perAnalyzer(n node, parse func(node) (float64, error), each func(id string, value float64)) error {
	return n.pairs(func(id string, n node) error {
		value, err := parse(n)
		if err == nil {
			err = p.checkID(n, id)
		}
		if err == nil {
			each(id, value)
		}
		return err
	})
}

func parsePace(n node) (float64, error) {
	text, err := n.text()
	if err != nil {
		return 0, err
	}
	pace, err := ParsePace(text)
	if err != nil {
		return 0, n.errorf("%v", err)
	}
	return pace, nil
}

// expectation parses {share: {a2: 0.6}, from: 21s, within: bound}, {refused: 0},
// {longest_queue: 100} or {p99_wait: 50ms}.
func (p *testParser) expectation(n node) error {
	e := expectation{where: n}
	kinds := 0
	atMost := func(unit string, limit func(node) (float64, error), value func(Result) float64) func(node) error {
		return func(n node) (err error) {
			kinds++
			e.where, e.unit, e.maximum = n, unit, value
			e.limit, err = limit(n)
			return err
		}
	}
	count := func(n node) (float64, error) {
		limit, err := n.integer(0, math.MaxInt32)
		return float64(limit), err
	}
	err := n.object(map[string]func(node) error{
		"share": func(n node) error {
			kinds++
			e.where, e.shares = n, make(map[string]float64)
			return p.perAnalyzer(n, parseShare, func(id string, share float64) { e.shares[id] = share })
		},
		"from":          func(n node) (err error) { e.from, err = p.time(n); return err },
		"to":            func(n node) (err error) { e.to, err = p.time(n); return err },
		"within":        func(n node) (err error) { e.within, err = parseTolerance(n); return err },
		"refused":       atMost("packets", count, func(r Result) float64 { return float64(r.Refused) }),
		"longest_queue": atMost("packets", count, func(r Result) float64 { return float64(r.LongestQueue) }),
		"p99_wait": atMost("s", func(n node) (float64, error) {
			limit, err := n.duration()
			return limit.Seconds(), err
		}, func(r Result) float64 { return r.P99Wait.Seconds() }),
	})
	switch {
	case err != nil:
		return err
	case kinds != 1:
		return n.errorf("one of share, refused, longest_queue and p99_wait is needed")
	case e.shares == nil && (e.from != 0 || e.to != 0 || e.within != tolerance{}):
		return n.errorf("from, to and within go with share")
	case e.to != 0 && e.to <= e.from:
		return n.errorf("to is %v: it must be after from, which is %v", e.to, e.from)
	}
	p.expects = append(p.expects, e)
	return nil
}

func (p *testParser) time(n node) (time.Duration, error) {
	d, err := n.duration()
	p.times = append(p.times, timed{d, n})
	return d, err
}

// checkTimes returns an error if a time is after the end of the arrivals.
func (p *testParser) checkTimes(end time.Duration) error {
	for _, t := range p.times {
		if t.at > end {
			return t.where.errorf("%v is after the end of the trace, which is %v", t.at, end)
		}
	}
	return nil
}

func parseShare(n node) (float64, error) {
	text, err := n.text()
	if err != nil {
		return 0, err
	}
	share, err := strconv.ParseFloat(text, 64)
	if err != nil || !(share >= 0 && share <= 1) {
		return 0, n.errorf("%q: a share from 0 to 1 is needed", text)
	}
	return share, nil
}

// parseTolerance parses bound, a number of messages or a percentage of them.
func parseTolerance(n node) (t tolerance, err error) {
	text, err := n.text()
	if err != nil || text == "bound" {
		return t, err
	}
	number, isPart := strings.CutSuffix(text, "%")
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(value > 0 && value <= math.MaxInt32) {
		return t, n.errorf("%q: bound, a number of messages such as 50, or a part of them such as 1%% is needed", text)
	}
	if isPart {
		return tolerance{part: value / 100}, nil
	}
	return tolerance{messages: value}, nil
}

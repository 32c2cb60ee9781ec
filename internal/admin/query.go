package admin

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// query reads the parameters of a request. After the first parameter that is not allowed, err is
// the refusal.
type query struct {
	values url.Values
	err    error
}

// newQuery returns the parameters; each must be known, occur once and be UTF-8.
func newQuery(raw string, known []string) (*query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse(malformed, "the query cannot be read: %v", err)
	}
	for name, list := range values {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return nil, refuse(malformed, "the parameter %s is unknown; there are none", shown(name))
			}
			return nil, unknown(name, slices.Clone(known))
		}
		if len(list) > 1 {
			return nil, refuse(malformed, "the parameter %s occurs %d times", name, len(list))
		}
		if !utf8.ValidString(list[0]) { // no id of a packet is such a text, and JSON cannot hold it
			return nil, refuseValue(name, list[0], "UTF-8")
		}
	}
	return &query{values: values}, nil
}

func (q *query) has(name string) bool { return q.values.Has(name) }

func (q *query) text(name string) string { return q.values.Get(name) }

func (q *query) refuse(name, allowed string) {
	if q.err == nil {
		q.err = refuseValue(name, q.text(name), allowed)
	}
}

// flag returns a parameter that is true or false.
func (q *query) flag(name string) bool {
	value := q.text(name)
	if q.has(name) && value != "true" && value != "false" {
		q.refuse(name, "true or false")
	}
	return value == "true"
}

// number returns an integer within bounds, or the default without the parameter.
func (q *query) number(name string, without, low, high int64) int64 {
	if !q.has(name) {
		return without
	}
	number, err := strconv.ParseInt(q.text(name), 10, 64)
	if err != nil || number < low || number > high {
		q.refuse(name, "an integer from "+strconv.FormatInt(low, 10)+" to "+strconv.FormatInt(high, 10))
		return without
	}
	return number
}

// duration returns a duration from 0 to limit, or without if the parameter is missing.
func (q *query) duration(name string, without, limit time.Duration) time.Duration {
	if !q.has(name) {
		return without
	}
	value, err := time.ParseDuration(q.text(name))
	if err != nil || value < 0 || value > limit {
		q.refuse(name, "a duration from 0s to "+limit.String())
		return without
	}
	return value
}

// word returns a parameter that is one of several words, or the default without the parameter.
func (q *query) word(name, without string, words ...string) string {
	if !q.has(name) {
		return without
	}
	if !slices.Contains(words, q.text(name)) {
		q.refuse(name, "one of "+strings.Join(words, ", "))
	}
	return q.text(name)
}

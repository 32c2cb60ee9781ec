package history

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// columns are the numbers of the whole or of one analyzer in the last snapshots. The value
// of snapshot n is at n modulo Length. The zero value is empty.
type columns struct {
	values map[string]*[Length]float32
	last   int64 // snapshot in which they were last
}

// set stores the numbers of a snapshot. A column that it lacks gets NaN.
func (c *columns) set(seq int64, numbers []Number) {
	at := seq % Length
	c.clear(at)
	c.last = seq
	if c.values == nil {
		c.values = make(map[string]*[Length]float32)
	}
	for _, n := range numbers {
		column := c.values[n.Name]
		if column == nil {
			if len(c.values) == maxColumns {
				continue
			}
			column = new([Length]float32)
			for i := range column {
				column[i] = float32(math.NaN())
			}
			c.values[n.Name] = column
		}
		column[at] = float32(n.Value)
	}
}

func (c *columns) clear(at int64) {
	for _, column := range c.values {
		column[at] = float32(math.NaN())
	}
}

// storeLocked stores a snapshot in the columns.
func (h *History) storeLocked(s Snapshot) {
	h.times[h.seq%Length] = s.Time.UnixMilli()
	h.whole.set(h.seq, s.Numbers)
	for _, a := range s.Analyzers {
		if h.analyzers[a.ID] == nil {
			h.analyzers[a.ID] = new(columns)
		}
		h.analyzers[a.ID].set(h.seq, a.Numbers)
	}
	for id, c := range h.analyzers {
		if c.last < h.seq {
			c.clear(h.seq % Length)
		}
		if c.last <= h.seq-Length {
			delete(h.analyzers, id)
		}
	}
	for len(h.analyzers) > MaxAnalyzers {
		delete(h.analyzers, h.longestAbsentLocked())
	}
}

func (h *History) longestAbsentLocked() string {
	ids := slices.Sorted(maps.Keys(h.analyzers))
	return slices.MinFunc(ids, func(a, b string) int { return int(h.analyzers[a].last - h.analyzers[b].last) })
}

// Columns returns the kept snapshots as JSON, oldest first:
//
//	{"boot":"…","seq":17,"interval":"1s","times":[1640995200000,…],"columns":{"name":[1.5,null,…]},"analyzers":{"id":{"name":[…]}}}
//
// times are in milliseconds since 1970, null is unknown. To continue from there, subscribe
// with the last event's id boot-seq. The caller must not modify the slice, which is the
// same for all callers until the next snapshot.
func (h *History) Columns() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.page == nil || h.pageSeq != h.seq {
		h.page, h.pageSeq = h.encodeLocked(), h.seq
	}
	return h.page
}

func (h *History) encodeLocked() []byte {
	first := max(1, h.seq-Length+1)
	b := append([]byte(`{"boot":"`), h.boot...)
	b = append(b, `","seq":`...)
	b = strconv.AppendInt(b, h.seq, 10)
	b = append(b, `,"interval":"`...)
	b = append(b, Interval.String()...)
	b = append(b, `","times":[`...)
	for seq := first; seq <= h.seq; seq++ {
		b = strconv.AppendInt(comma(b), h.times[seq%Length], 10)
	}
	b = append(b, `],"columns":`...)
	b = h.whole.append(b, first, h.seq)
	b = append(b, `,"analyzers":{`...)
	for _, id := range slices.Sorted(maps.Keys(h.analyzers)) {
		b = append(appendString(comma(b), id), ':')
		b = h.analyzers[id].append(b, first, h.seq)
	}
	return append(b, "}}"...)
}

// append appends the columns as JSON.
func (c *columns) append(b []byte, first, last int64) []byte {
	b = append(b, '{')
	for _, name := range slices.Sorted(maps.Keys(c.values)) {
		b = append(appendString(comma(b), name), ":["...)
		for seq := first; seq <= last; seq++ {
			b = appendFloat(comma(b), float64(c.values[name][seq%Length]))
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// encode returns a snapshot as JSON, with the names and the precision of the columns:
//
//	{"boot":"…","seq":17,"time":1640995200000,"values":{"name":1.5},"texts":{…},"analyzers":{"id":{"name":1.5}},"analyzer_texts":{"id":{…}}}
func (s Snapshot) encode(boot string, seq int64) []byte {
	b := append([]byte(`{"boot":"`), boot...)
	b = append(b, `","seq":`...)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, s.Time.UnixMilli(), 10)
	b = append(b, `,"values":`...)
	b = s.appendNumbers(b)
	b = append(b, `,"texts":`...)
	b = s.appendTexts(b)
	b = append(b, `,"analyzers":{`...)
	for _, a := range s.Analyzers {
		b = a.appendNumbers(append(appendString(comma(b), a.ID), ':'))
	}
	b = append(b, `},"analyzer_texts":{`...)
	for _, a := range s.Analyzers {
		b = a.appendTexts(append(appendString(comma(b), a.ID), ':'))
	}
	return append(b, "}}"...)
}

func (g Group) appendNumbers(b []byte) []byte {
	b = append(b, '{')
	for _, n := range g.Numbers {
		b = appendFloat(append(appendString(comma(b), n.Name), ':'), n.Value)
	}
	return append(b, '}')
}

func (g Group) appendTexts(b []byte) []byte {
	b = append(b, '{')
	for _, t := range g.Texts {
		b = appendString(append(appendString(comma(b), t.Name), ':'), t.Value)
	}
	return append(b, '}')
}

// comma appends a comma unless a list or an object has just begun.
func comma(b []byte) []byte {
	if strings.IndexByte("[{", b[len(b)-1]) >= 0 {
		return b
	}
	return append(b, ',')
}

func appendString(b []byte, text string) []byte {
	quoted, _ := json.Marshal(text) // never fails
	return append(b, quoted...)
}

// appendFloat appends a number with the precision of the columns.
func appendFloat(b []byte, value float64) []byte {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, value, 'g', -1, 32)
}

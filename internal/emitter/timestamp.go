package emitter

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	months      = `(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`
	clock       = `(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,:](?P<fraction>\d{1,9}))?`
	zone        = `(?: ?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?`
	numericDate = `^(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)(?:T| {1,2})` + clock + zone
	accessDate  = `^(?P<day>\d\d)/` + months + `/(?P<year>\d{4}):` + clock + zone
	stampDate   = `^` + months + ` {1,2}(?P<day>\d{1,2}) ` + clock
	apacheDate  = `^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ` + months + ` {1,2}(?P<day>\d{1,2}) ` + clock + ` (?P<year>\d{4})\b`
	glogDate    = `^[IWEF](?P<month>\d\d)(?P<day>\d\d) ` + clock
	logcatDate  = `^(?P<month>\d\d)-(?P<day>\d\d) ` + clock
	epochDate   = `^(?P<epoch>\d{10}(?:\.\d{1,9}|\d{3})?)\b`
)

// timeLayouts are the timestamp formats of text lines. Read-only.
var timeLayouts = compileTimeLayouts(numericDate, accessDate, stampDate, apacheDate, glogDate, logcatDate, epochDate)

// timeLayout is a timestamp format as a regular expression with named groups.
type timeLayout struct {
	expression *regexp.Regexp
	names      []string
}

func compileTimeLayouts(expressions ...string) []timeLayout {
	var layouts []timeLayout
	for _, e := range expressions {
		expression := regexp.MustCompile(e)
		layouts = append(layouts, timeLayout{expression, expression.SubexpNames()})
	}
	return layouts
}

// timePrefix parses the timestamp at the start of text and returns it in
// milliseconds since 1970 with its length in bytes.
func timePrefix(text string, location *time.Location, now time.Time) (milliseconds int64, length int, ok bool) {
	if text == "" || !mayStartTime(text[0]) {
		return 0, 0, false
	}
	for _, layout := range timeLayouts {
		groups := layout.expression.FindStringSubmatch(text)
		if groups == nil {
			continue
		}
		if milliseconds, ok = layout.read(groups, location, now); ok {
			return milliseconds, len(groups[0]), true
		}
	}
	return 0, 0, false
}

func mayStartTime(c byte) bool {
	return c >= '0' && c <= '9' || strings.IndexByte("JFMASONDTWIE", c) >= 0
}

func (f timeLayout) read(groups []string, location *time.Location, now time.Time) (int64, bool) {
	var year, day, hour, minute, second, nanosecond int
	var month time.Month
	for i, name := range f.names {
		text := groups[i]
		number, _ := strconv.Atoi(text)
		switch name {
		case "epoch":
			return parseEpoch(text)
		case "year":
			year = number
		case "month":
			month = monthOf(text)
		case "day":
			day = number
		case "hour":
			hour = number
		case "minute":
			minute = number
		case "second":
			second = number
		case "fraction":
			nanosecond, _ = strconv.Atoi((text + "000000000")[:9])
		case "zone":
			location = zoneOf(text, location)
		}
	}
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	in := func(year int) time.Time {
		return time.Date(year, month, day, hour, minute, second, nanosecond, location)
	}
	t := in(year)
	if year == 0 {
		t = latest(in, day, now.In(location))
	}
	return t.UnixMilli(), t.UnixMilli() > 0
}

// latest returns the time of the latest year that has the day and is at most a day in the future: a
// line of December may be read in January. Leap days are up to eight years apart.
func latest(in func(year int) time.Time, day int, now time.Time) (t time.Time) {
	limit := now.Add(24 * time.Hour)
	for back := range 9 {
		if t = in(limit.Year() - back); t.Day() == day && !t.After(limit) {
			return t
		}
	}
	return t
}

func monthOf(text string) time.Month {
	if number, err := strconv.Atoi(text); err == nil {
		return time.Month(number)
	}
	return time.Month(strings.Index("JanFebMarAprMayJunJulAugSepOctNovDec", text)/3 + 1)
}

// zoneOf parses "", Z, UTC, GMT or an offset such as +0100 and -05:30.
func zoneOf(text string, otherwise *time.Location) *time.Location {
	switch text {
	case "":
		return otherwise
	case "Z", "UTC", "GMT":
		return time.UTC
	}
	digits := strings.ReplaceAll(text[1:], ":", "")
	number, err := strconv.Atoi(digits)
	if err != nil {
		return otherwise
	}
	seconds := (number/100*60 + number%100) * 60
	if text[0] == '-' {
		seconds = -seconds
	}
	return time.FixedZone("", seconds)
}

// parseTime parses a whole field as a timestamp, or as seconds, milliseconds,
// microseconds or nanoseconds since 1970 (see parseEpoch).
func parseTime(text string, location *time.Location, now time.Time) (milliseconds int64, ok bool) {
	text = strings.TrimSpace(text)
	if milliseconds, ok = parseEpoch(text); ok {
		return milliseconds, true
	}
	milliseconds, length, ok := timePrefix(text, location, now)
	return milliseconds, ok && length == len(text)
}

// parseEpoch derives the unit from the magnitude: for times from about 1973 to
// 5138 the ranges of the units do not overlap.
func parseEpoch(text string) (milliseconds int64, ok bool) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || !(number >= 1e8) {
		return 0, false
	}
	switch {
	case number < 1e11:
		number *= 1e3
	case number < 1e14:
	case number < 1e17:
		number /= 1e3
	case number < 1e20:
		number /= 1e6
	default:
		return 0, false
	}
	return int64(number), int64(number) > 0
}

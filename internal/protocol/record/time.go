package record

import (
	"bytes"
	"strconv"
	"time"
)

const perMilli = int64(time.Millisecond)

// IsUntimed reports whether a record with a timestamp in nanoseconds since 1970, or 0 without one,
// gets the time of its arrival: a timestamp of a message is a positive number of milliseconds.
func IsUntimed(nano int64) bool { return nano < perMilli }

// beginAt implements Packets.Begin, and reports whether the timestamp is more than a day in the future
// or a week in the past.
func (m *Message) beginAt(nano int64, arrival time.Time) (skewed bool) {
	if IsUntimed(nano) {
		m.Begin(arrival.UnixMilli())
		m.SetString("time_unix_nano", strconv.FormatInt(max(nano, 0), 10))
		return nano > 0
	}
	m.Begin(nano / perMilli)
	if nano%perMilli != 0 {
		m.SetInt("time_unix_nano", nano)
	}
	return IsSkewed(nano/perMilli, arrival)
}

// ParseTime returns the time of a text in nanoseconds since 1970, above 0: a number as for
// ParseEpoch, or a date and time as in RFC 3339 or ISO 8601, with UTC if it has no zone.
func ParseTime(text []byte) (nano int64, ok bool) {
	text = bytes.TrimSpace(text)
	if len(text) > maxTimeBytes {
		return 0, false
	}
	if nano, ok = parseUTC(text); ok {
		return nano, true
	}
	if nano, ok = ParseEpoch(text); ok {
		return nano, true
	}
	if len(text) < len(time.DateOnly) {
		return 0, false
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, string(text)); err == nil {
			return t.UnixNano(), inRange(t)
		}
	}
	return 0, false
}

// maxTimeBytes bounds the text of a time.
const maxTimeBytes = 64

// timeLayouts are the layouts of dates. Each permits fractions of seconds, after a point or a
// comma.
var timeLayouts = [...]string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700",
	"2006-01-02T15:04:05Z07", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02",
}

// parseUTC is ParseTime for times as most documents have them: as time.RFC3339, with Z and up to
// nine digits of a fraction. It reports false for other times.
func parseUTC(text []byte) (nano int64, ok bool) {
	const minLayout = "2006-01-02T15:04:05Z"
	if len(text) < len(minLayout) || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' || text[len(text)-1] != 'Z' {
		return 0, false
	}
	year, month, day := decimal(text[:4]), decimal(text[5:7]), decimal(text[8:10])
	hour, minute, second := decimal(text[11:13]), decimal(text[14:16]), decimal(text[17:19])
	if uint(year-1970) > lastYear-1970 || uint(month-1) > 11 || uint(day-1) >= uint(daysOf(year, month)) || uint(hour) > 23 || uint(minute) > 59 || uint(second) > 59 {
		return 0, false
	}
	if fraction := text[len(minLayout)-1 : len(text)-1]; len(fraction) > 0 {
		digits := len(fraction) - 1
		if nano = int64(decimal(fraction[1:])); fraction[0] != '.' || digits < 1 || digits > 9 || nano < 0 {
			return 0, false
		}
		for ; digits < 9; digits++ {
			nano *= 10
		}
	}
	seconds := int64((hour*60+minute)*60+second) + int64(daysBefore(year, month, day))*secondsOfDay
	nano += seconds * int64(time.Second)
	return nano, nano > 0
}

const secondsOfDay = 24 * 60 * 60

// daysOf returns the number of days of a month from 1 to 12.
func daysOf(year, month int) int {
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 29
	}
	return [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

// daysBefore returns the number of days from 1970 to a date after it. Years are counted from
// March, so that a leap day is the last one of a year, and months have 153 days in each five.
func daysBefore(year, month, day int) int {
	const daysTo1970 = 719468 // from March of the year 0
	if month -= 3; month < 0 {
		year, month = year-1, month+12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*month+2)/5 + day - 1 - daysTo1970
}

// decimal returns a number of a few digits. The result is negative if there is another character.
func decimal(digits []byte) (n int) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// lastYear is the last year in which every time has a number of nanoseconds.
const lastYear = 2261

// inRange reports whether a time is after 1970 and has a number of nanoseconds.
func inRange(t time.Time) bool {
	return t.Year() >= 1970 && t.Year() <= lastYear && t.UnixNano() > 0
}

// ParseEpoch returns the time of a decimal number in nanoseconds since 1970, above 0. The number is
// in seconds below 1e11, then in milliseconds, in microseconds from 1e14 and in nanoseconds from
// 1e17 on.
func ParseEpoch(text []byte) (nano int64, ok bool) {
	whole, fraction, _ := bytes.Cut(text, []byte{'.'})
	const maxDigits = 19 // of an int64
	if len(whole) == 0 || len(whole) > maxDigits || !isDigits(whole) || !isDigits(fraction) {
		return parseExponent(text)
	}
	var n uint64
	for _, digit := range whole {
		n = 10*n + uint64(digit-'0')
	}
	unit := int64(1)
	switch {
	case n < 1e11:
		unit = int64(time.Second)
	case n < 1e14:
		unit = int64(time.Millisecond)
	case n < 1e17:
		unit = int64(time.Microsecond)
	}
	if n > (1<<63-1)/uint64(unit)-1 {
		return 0, false
	}
	nano = int64(n) * unit
	for _, digit := range fraction {
		unit /= 10
		nano += int64(digit-'0') * unit
	}
	return nano, nano > 0
}

func isDigits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// parseExponent is ParseEpoch for a number with an exponent, such as 1.7e9.
func parseExponent(text []byte) (nano int64, ok bool) {
	if bytes.IndexByte(text, 'e') < 0 && bytes.IndexByte(text, 'E') < 0 {
		return 0, false
	}
	value, err := strconv.ParseFloat(string(text), 64)
	if err != nil || value <= 0 || value >= 1<<63 || value != value {
		return 0, false
	}
	return ParseEpoch(strconv.AppendFloat(nil, value, 'f', -1, 64))
}

package syslog

import "time"

// years bounds timestamps to the years that nanoseconds since 1970 can express.
const (
	minYear = 1678
	maxYear = 2261
)

// A timestamp without a year is at most maxAhead after its arrival. Leap days are up to
// maxYearsBack apart.
const (
	maxAhead     = 7 * 24 * time.Hour
	maxYearsBack = 9
)

// remainder is the text behind a timestamp.
type remainder []byte

// parseRFC3339 parses the timestamp at the beginning of text, such as
// 2003-08-24T05:14:15.000003-07:00, into nanoseconds since 1970.
func parseRFC3339(text []byte) (nanoseconds int64, rest remainder, ok bool) {
	const seconds = len("2003-08-24T05:14:15")
	if len(text) <= seconds || text[4] != '-' || text[7] != '-' || text[10]|0x20 != 't' || text[13] != ':' || text[16] != ':' {
		return 0, nil, false
	}
	year, month, day := 100*two(text)+two(text[2:]), two(text[5:]), two(text[8:])
	hour, minute, second := two(text[11:]), two(text[14:]), two(text[17:])
	if two(text) < 0 || two(text[2:]) < 0 || !isDate(year, month, day) || !isClock(hour, minute, second) {
		return 0, nil, false
	}
	fraction, rest := parseFraction(text[seconds:])
	offset, rest, ok := parseOffset(rest)
	if !ok {
		return 0, nil, false
	}
	return nanosecondsOf(year, month, day, 3600*hour+60*minute+second-offset, fraction), rest, true
}

// two returns the number of the two digits that text begins with, or a negative number.
func two(text []byte) int {
	tens, ones := int(text[0])-'0', int(text[1])-'0'
	if tens < 0 || tens > 9 || ones < 0 || ones > 9 {
		return -1000
	}
	return 10*tens + ones
}

// isClock permits a leap second.
func isClock(hour, minute, second int) bool {
	return hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second <= 60
}

func isDate(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 {
		return false
	}
	if month == 2 && isLeap(year) {
		return day <= 29
	}
	return day <= [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

func isLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// parseFraction parses an optional fraction of a second; digits behind the ninth are dropped.
func parseFraction(text []byte) (nanoseconds int, rest remainder) {
	if len(text) < 2 || text[0] != '.' || !isDigit(text[1]) {
		return 0, text
	}
	unit, n := int(time.Second), 1
	for ; n < len(text) && isDigit(text[n]); n++ {
		unit /= 10
		nanoseconds += int(text[n]-'0') * unit
	}
	return nanoseconds, text[n:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// parseOffset parses Z, or a difference from UTC such as -07:00, in seconds.
func parseOffset(text []byte) (seconds int, rest remainder, ok bool) {
	if len(text) > 0 && text[0]|0x20 == 'z' {
		return 0, text[1:], true
	}
	const length = len("-07:00")
	if len(text) < length || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return 0, nil, false
	}
	hours, minutes := two(text[1:]), two(text[4:])
	if !isClock(hours, minutes, 0) {
		return 0, nil, false
	}
	if seconds = 3600*hours + 60*minutes; text[0] == '-' {
		seconds = -seconds
	}
	return seconds, text[length:], true
}

// nanosecondsOf returns 0 for a time that nanoseconds cannot express.
func nanosecondsOf(year, month, day, seconds, fraction int) int64 {
	if year < minYear || year > maxYear {
		return 0
	}
	return (daysSince1970(year, month, day)*86400+int64(seconds))*int64(time.Second) + int64(fraction)
}

// daysSince1970 is for the Gregorian calendar; years begin in March, so that the leap day is
// the last (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
func daysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era, yearOfEra := year/400, year%400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return int64(era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468)
}

// calendar completes timestamps without a year and a time zone. It caches the last timestamp, since
// lines of the same second follow each other. It must not be used concurrently.
type calendar struct {
	zone *time.Location
	last [len("Jan _2 15:04:05")]byte
	// lastTime is the time of last, and valid while the arrival is in the same second.
	lastTime, lastArrival int64
}

// parse parses the timestamp of RFC 3164 at the beginning of text, such as Oct 11 22:14:15, also
// with a year behind the day, or a fraction of a second. The year is the last in which the
// timestamp is before the arrival, or after it by no more than clocks differ.
func (c *calendar) parse(text []byte, arrival time.Time) (nanoseconds int64, rest remainder, ok bool) {
	const length = len("Jan _2 15:04:05")
	if len(text) < length {
		return 0, nil, false
	}
	if string(text[:length]) == string(c.last[:]) && arrival.Unix() == c.lastArrival {
		fraction, rest := parseFraction(text[length:])
		return c.lastTime + int64(fraction), rest, true
	}
	month := monthOf(text)
	day, rest := parseDay(text[3:])
	year, rest := parseYear(rest)
	if month == 0 || day == 0 || len(rest) < len("15:04:05") || rest[2] != ':' || rest[5] != ':' {
		return 0, nil, false
	}
	hour, minute, second := two(rest), two(rest[3:]), two(rest[6:])
	if !isClock(hour, minute, second) {
		return 0, nil, false
	}
	stamp := wallClock{month, day, hour, minute, second}
	if nanoseconds = c.complete(stamp, year, arrival); nanoseconds == 0 {
		return 0, nil, false
	}
	rest = rest[len("15:04:05"):]
	if len(text)-len(rest) == length {
		copy(c.last[:], text)
		c.lastTime, c.lastArrival = nanoseconds, arrival.Unix()
	}
	fraction, rest := parseFraction(rest)
	return nanoseconds + int64(fraction), rest, true
}

type wallClock struct{ month, day, hour, minute, second int }

// complete returns the time of a wall clock, or 0 if there is none. A year of 0 is unknown.
func (c *calendar) complete(w wallClock, year int, arrival time.Time) int64 {
	if year != 0 {
		return c.in(w, year)
	}
	latest := arrival.Add(maxAhead)
	this := latest.In(c.zone).Year()
	for year := this; year > this-maxYearsBack; year-- {
		if at := c.in(w, year); at != 0 && at <= latest.UnixNano() {
			return at
		}
	}
	return 0
}

func (c *calendar) in(w wallClock, year int) int64 {
	if !isDate(year, w.month, w.day) || year < minYear || year > maxYear {
		return 0
	}
	return time.Date(year, time.Month(w.month), w.day, w.hour, w.minute, w.second, 0, c.zone).UnixNano()
}

// monthOf returns the month, 1 to 12, whose English abbreviation is at the beginning of text, or 0.
func monthOf(text []byte) int {
	switch string(text[:3]) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

// parseDay parses the day behind a month, padded with a space, a zero or nothing, and the space
// behind it. It returns 0 if there is no day.
func parseDay(text []byte) (day int, rest remainder) {
	if len(text) == 0 || text[0] != ' ' {
		return 0, nil
	}
	text = text[1:]
	if len(text) > 0 && text[0] == ' ' {
		text = text[1:]
	}
	n := 0
	for ; n < 2 && n < len(text) && isDigit(text[n]); n++ {
		day = 10*day + int(text[n]-'0')
	}
	if n == len(text) || text[n] != ' ' {
		return 0, nil
	}
	return day, remainder(text[n+1:])
}

// parseYear parses an optional year and the space behind it.
func parseYear(text []byte) (year int, rest remainder) {
	const length = len("2006 ")
	if len(text) < length || text[4] != ' ' || two(text) < 0 || two(text[2:]) < 0 {
		return 0, text
	}
	return 100*two(text) + two(text[2:]), text[length:]
}

package syslog

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// describe returns a parsed line as text, without its empty parts.
func (l line) describe() string {
	var parts []string
	if l.priority >= 0 {
		parts = append(parts, fmt.Sprint(l.priority))
	}
	if l.nanoseconds != 0 {
		parts = append(parts, time.Unix(0, l.nanoseconds).UTC().Format(time.RFC3339Nano))
	}
	for _, p := range []struct {
		name string
		text []byte
	}{{"host", l.host}, {"app", l.app}, {"proc", l.proc}, {"id", l.id}, {"sd", l.structured}, {"text", l.text}} {
		if len(p.text) > 0 {
			parts = append(parts, p.name+"="+string(p.text))
		}
	}
	return strings.Join(parts, " ")
}

var arrival = time.Date(2026, 11, 29, 15, 0, 0, 0, time.UTC)

func TestParse(t *testing.T) {
	c := calendar{zone: time.UTC}
	for message, want := range map[string]string{
		// RFC 5424, 6.5
		"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xEF\xBB\xBF'su root' failed": "34 2003-10-11T22:14:15.003Z host=mymachine.example.com app=su id=ID47 text='su root' failed",
		"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time":                "165 2003-08-24T12:14:15.000003Z host=192.0.2.1 app=myproc proc=8710 text=%% It's time",
		`<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [a@1 iut="3"][b x="\]\""] text`:              `165 2003-10-11T22:14:15.003Z host=h app=evntslog id=ID47 sd=[a@1 iut="3"][b x="\]\""] text=text`,
		`<165>1 - - - - - [a@1 iut="3"]`:                        `165 sd=[a@1 iut="3"]`,
		"<0>1 - - - - - -":                                      "0",
		"<14>1 2026-11-29T15:00:00+01:00 h a 1 m -  two spaces": "14 2026-11-29T14:00:00Z host=h app=a proc=1 id=m text= two spaces",
		// messages that are not RFC 5424 are text
		"<34>1 2003-10-11T22:14:15.003Z h su - ID47 [broken text": "34 text=1 2003-10-11T22:14:15.003Z h su - ID47 [broken text",
		"<34>1 2003-13-11T22:14:15.003Z h su - - - text":          "34 text=1 2003-13-11T22:14:15.003Z h su - - - text",
		"<34>1 tomorrow h su - - - text":                          "34 text=1 tomorrow h su - - - text",
		// RFC 3164
		"<34>Oct 11 22:14:15 mymachine su: 'su root' failed":       "34 2026-10-11T22:14:15Z host=mymachine app=su text='su root' failed",
		"<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!":               "13 2026-02-05T17:32:18Z host=10.0.0.99 text=Use the BFG!",
		"<13>Nov 29 15:00:00 web nginx[12]: GET / 200":             "13 2026-11-29T15:00:00Z host=web app=nginx proc=12 text=GET / 200",
		"<13>Nov 29 15:00:00 web app[12] no colon":                 "13 2026-11-29T15:00:00Z host=web app=app proc=12 text=no colon",
		"<13>Nov 9 15:00:00 web app: x":                            "13 2026-11-09T15:00:00Z host=web app=app text=x",
		"<13>Nov 29 2025 15:00:00 web app: x":                      "13 2025-11-29T15:00:00Z host=web app=app text=x",
		"<13>Nov 29 15:00:00.125 web app: x":                       "13 2026-11-29T15:00:00.125Z host=web app=app text=x",
		"<13>Nov 29 15:00:00 app[12]: no host":                     "13 2026-11-29T15:00:00Z app=app proc=12 text=no host",
		"<13>Nov 29 15:00:00 app: no host":                         "13 2026-11-29T15:00:00Z app=app text=no host",
		"<13>Nov 29 15:00:00 word":                                 "13 2026-11-29T15:00:00Z text=word",
		"<13>Nov 29 15:00:00 web last message repeated 3 times":    "13 2026-11-29T15:00:00Z host=web text=last message repeated 3 times",
		"<13>Nov 31 15:00:00 web app: x":                           "13 text=Nov 31 15:00:00 web app: x",
		"<13>Nov 29 25:00:00 web app: x":                           "13 text=Nov 29 25:00:00 web app: x",
		"<13>2026-11-29T15:00:00.123456+01:00 web app[1]: rsyslog": "13 2026-11-29T14:00:00.123456Z host=web app=app proc=1 text=rsyslog",
		"<14>only text":                   "14 text=only text",
		"<14>name: text":                  "14 app=name text=text",
		"<14>http://example.com is a URL": "14 text=http://example.com is a URL",
		// no priority, or an invalid one
		"a line: text":               "text=a line: text",
		"<192>x":                     "text=<192>x",
		"<>x":                        "text=<>x",
		"<1x":                        "text=<1x",
		"<":                          "text=<",
		"<13>":                       "13",
		"Nov 29 15:00:00 web app: x": "2026-11-29T15:00:00Z host=web app=app text=x",
	} {
		l := parse([]byte(message), arrival, &c)
		if got := l.describe(); got != want {
			t.Errorf("%q:\n got %s\nwant %s", message, got, want)
		}
	}
}

// A timestamp without a year is in the last year in which it is before the arrival, or a few days
// after it.
func TestYear(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		zone          *time.Location
		arrival, want string
		stamp         string
	}{
		{time.UTC, "2027-01-01T00:00:01Z", "2026-12-31T23:59:59Z", "Dec 31 23:59:59"},
		{time.UTC, "2026-12-31T23:59:59Z", "2027-01-01T00:00:05Z", "Jan  1 00:00:05"},
		{time.UTC, "2026-11-29T15:00:00Z", "2026-02-28T00:00:00Z", "Feb 28 00:00:00"},
		{time.UTC, "2027-03-01T00:00:00Z", "2024-02-29T12:00:00Z", "Feb 29 12:00:00"}, // the last leap day
		{berlin, "2026-12-31T23:30:00Z", "2026-12-31T23:30:00Z", "Jan  1 00:30:00"},
		{berlin, "2026-07-01T12:00:00Z", "2026-07-01T12:00:00Z", "Jul  1 14:00:00"},
	} {
		at, err := time.Parse(time.RFC3339, c.arrival)
		if err != nil {
			t.Fatal(err)
		}
		calendar := calendar{zone: c.zone}
		for range 2 { // the second is cached
			nanoseconds, _, ok := calendar.parse([]byte(c.stamp), at)
			if got := time.Unix(0, nanoseconds).UTC().Format(time.RFC3339); !ok || got != c.want {
				t.Errorf("%s at %s in %v is %s, want %s", c.stamp, c.arrival, c.zone, got, c.want)
			}
		}
	}
}

// A cached timestamp is not used for another arrival.
func TestYearChanges(t *testing.T) {
	c := calendar{zone: time.UTC}
	for year, at := range map[int]time.Time{
		2026: time.Date(2026, 11, 29, 15, 0, 0, 0, time.UTC), 2027: time.Date(2027, 11, 29, 15, 0, 0, 0, time.UTC),
	} {
		nanoseconds, _, _ := c.parse([]byte("Nov 29 15:00:00"), at)
		if got := time.Unix(0, nanoseconds).UTC().Year(); got != year {
			t.Errorf("%d, want %d", got, year)
		}
	}
}

func TestDays(t *testing.T) {
	for day := time.Date(1690, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2250; day = day.AddDate(0, 0, 17) {
		want := day.Unix() / 86400
		if day.Unix()%86400 != 0 {
			t.Fatal(day)
		}
		if got := daysSince1970(day.Year(), int(day.Month()), day.Day()); got != want {
			t.Fatalf("%v is day %d, want %d", day, got, want)
		}
	}
}

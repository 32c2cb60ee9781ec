package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/ingest"
)

// whole is a setting that is a whole number.
type whole[T int | int64] struct{ to *T }

func (v whole[T]) String() string {
	if v.to == nil {
		return ""
	}
	return strconv.FormatInt(int64(*v.to), 10)
}

func (v whole[T]) Set(text string) error {
	number, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return errors.New("a whole number is needed")
	}
	*v.to = T(number)
	return nil
}

// span is a setting that is a time, given as a number of units; fractions are
// allowed.
type span struct {
	to   *time.Duration
	unit time.Duration
}

func (v span) String() string {
	if v.to == nil {
		return ""
	}
	return strconv.FormatFloat(float64(*v.to)/float64(v.unit), 'g', -1, 64)
}

func (v span) Set(text string) error {
	number, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(number) || math.Abs(number) > float64(math.MaxInt64/v.unit)/2 {
		return fmt.Errorf("a number of %s is needed", map[time.Duration]string{
			time.Second: "seconds", time.Millisecond: "milliseconds",
		}[v.unit])
	}
	*v.to = time.Duration(number * float64(v.unit))
	return nil
}

// duration is a setting that is a time with its unit, such as 5s; a bare number
// counts seconds.
type duration struct{ to *time.Duration }

func (v duration) String() string {
	if v.to == nil {
		return ""
	}
	return v.to.String()
}

func (v duration) Set(text string) error {
	if parsed, err := time.ParseDuration(text); err == nil {
		*v.to = parsed
		return nil
	}
	if (span{v.to, time.Second}).Set(text) != nil {
		return errors.New("a time such as 30s or 5m is needed")
	}
	return nil
}

// words is a setting that is text.
type words struct{ to *string }

func (v words) String() string {
	if v.to == nil {
		return ""
	}
	return *v.to
}

func (v words) Set(text string) error {
	*v.to = text
	return nil
}

// oneOf is a setting that is one of a few words.
type oneOf struct {
	to      *string
	allowed []string
}

func (v oneOf) String() string { return words{v.to}.String() }

func (v oneOf) Set(text string) error {
	for _, word := range v.allowed {
		if strings.EqualFold(text, word) {
			*v.to = word
			return nil
		}
	}
	return fmt.Errorf("one of %s is needed", strings.Join(v.allowed, ", "))
}

// toggle is a setting that is true or false; as a flag it needs no value.
type toggle struct{ to *bool }

func (v toggle) String() string {
	if v.to == nil {
		return ""
	}
	return strconv.FormatBool(*v.to)
}

func (v toggle) Set(text string) error {
	parsed, err := strconv.ParseBool(text)
	if err != nil {
		return errors.New("true or false is needed")
	}
	*v.to = parsed
	return nil
}

func (v toggle) IsBoolFlag() bool { return true }

// ratio is a setting that is a number.
type ratio struct{ to *float64 }

func (v ratio) String() string {
	if v.to == nil {
		return ""
	}
	return strconv.FormatFloat(*v.to, 'g', -1, 64)
}

func (v ratio) Set(text string) error {
	parsed, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(parsed) || math.IsInf(parsed, 0) {
		return errors.New("a number is needed")
	}
	*v.to = parsed
	return nil
}

// acks is when emitters are answered; empty is the journal's default.
type acks struct{ to *ingest.Ack }

func (v acks) String() string {
	if v.to == nil {
		return ""
	}
	return string(*v.to)
}

func (v acks) Set(text string) error {
	word := string(*v.to)
	err := (oneOf{&word, ingest.Acks()}).Set(text)
	*v.to = ingest.Ack(word)
	return err
}

// window is a time in seconds, negative for the journal's default, which shows
// as nothing.
type window struct{ to *time.Duration }

func (v window) String() string {
	if v.to == nil || *v.to < 0 {
		return ""
	}
	return span{v.to, time.Second}.String()
}

func (v window) Set(text string) error {
	var given time.Duration
	if err := (span{&given, time.Second}).Set(text); err != nil || given < 0 {
		return errors.New("a number of seconds, 0 or more, is needed")
	}
	*v.to = given
	return nil
}

// shed is what is refused first.
type shed struct{ to *ingest.Shed }

func (v shed) String() string {
	if v.to == nil {
		return ""
	}
	return v.to.String()
}

func (v shed) Set(text string) error {
	parsed, err := ingest.ParseShed(text)
	if err != nil {
		return err
	}
	*v.to = parsed
	return nil
}

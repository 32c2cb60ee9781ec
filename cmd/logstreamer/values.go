package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/intake"
)

type intValue[T int | int64] struct{ dst *T }

func (v intValue[T]) String() string {
	if v.dst == nil {
		return ""
	}
	return strconv.FormatInt(int64(*v.dst), 10)
}

func (v intValue[T]) Set(text string) error {
	number, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return errors.New("an integer is needed")
	}
	*v.dst = T(number)
	return nil
}

// unitDurationValue is a duration given as a number of units; fractions are
// allowed.
type unitDurationValue struct {
	dst  *time.Duration
	unit time.Duration
}

func (v unitDurationValue) String() string {
	if v.dst == nil {
		return ""
	}
	return strconv.FormatFloat(float64(*v.dst)/float64(v.unit), 'g', -1, 64)
}

func (v unitDurationValue) Set(text string) error {
	number, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(number) || math.Abs(number) > float64(math.MaxInt64/v.unit)/2 {
		return fmt.Errorf("a number of %s is needed", map[time.Duration]string{
			time.Second: "seconds", time.Millisecond: "milliseconds",
		}[v.unit])
	}
	*v.dst = time.Duration(number * float64(v.unit))
	return nil
}

// durationValue is a duration with its unit, such as 5s; a bare number is in
// seconds.
type durationValue struct{ dst *time.Duration }

func (v durationValue) String() string {
	if v.dst == nil {
		return ""
	}
	return v.dst.String()
}

func (v durationValue) Set(text string) error {
	if parsed, err := time.ParseDuration(text); err == nil {
		*v.dst = parsed
		return nil
	}
	if (unitDurationValue{v.dst, time.Second}).Set(text) != nil {
		return errors.New("a duration such as 30s or 5m is needed")
	}
	return nil
}

type stringValue struct{ dst *string }

func (v stringValue) String() string {
	if v.dst == nil {
		return ""
	}
	return *v.dst
}

func (v stringValue) Set(text string) error {
	*v.dst = text
	return nil
}

// enumValue is one of a list of words, in any case.
type enumValue struct {
	dst     *string
	allowed []string
}

func (v enumValue) String() string { return stringValue{v.dst}.String() }

func (v enumValue) Set(text string) error {
	for _, word := range v.allowed {
		if strings.EqualFold(text, word) {
			*v.dst = word
			return nil
		}
	}
	return fmt.Errorf("one of %s is needed", strings.Join(v.allowed, ", "))
}

// boolValue is a boolean; as a flag it needs no value.
type boolValue struct{ dst *bool }

func (v boolValue) String() string {
	if v.dst == nil {
		return ""
	}
	return strconv.FormatBool(*v.dst)
}

func (v boolValue) Set(text string) error {
	parsed, err := strconv.ParseBool(text)
	if err != nil {
		return errors.New("true or false is needed")
	}
	*v.dst = parsed
	return nil
}

func (v boolValue) IsBoolFlag() bool { return true }

// floatValue is a finite number.
type floatValue struct{ dst *float64 }

func (v floatValue) String() string {
	if v.dst == nil {
		return ""
	}
	return strconv.FormatFloat(*v.dst, 'g', -1, 64)
}

func (v floatValue) Set(text string) error {
	parsed, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(parsed) || math.IsInf(parsed, 0) {
		return errors.New("a number is needed")
	}
	*v.dst = parsed
	return nil
}

// ackValue is the default acknowledgement; empty means the journal's default.
type ackValue struct{ dst *intake.Ack }

func (v ackValue) String() string {
	if v.dst == nil {
		return ""
	}
	return string(*v.dst)
}

func (v ackValue) Set(text string) error {
	word := string(*v.dst)
	err := (enumValue{&word, intake.Acks()}).Set(text)
	*v.dst = intake.Ack(word)
	return err
}

// windowValue is a duration in seconds; negative means the journal's default,
// which is shown as empty.
type windowValue struct{ dst *time.Duration }

func (v windowValue) String() string {
	if v.dst == nil || *v.dst < 0 {
		return ""
	}
	return unitDurationValue{v.dst, time.Second}.String()
}

func (v windowValue) Set(text string) error {
	var d time.Duration
	if err := (unitDurationValue{&d, time.Second}).Set(text); err != nil || d < 0 {
		return errors.New("a number of seconds, 0 or more, is needed")
	}
	*v.dst = d
	return nil
}

type shedValue struct{ dst *intake.ShedThresholds }

func (v shedValue) String() string {
	if v.dst == nil {
		return ""
	}
	return v.dst.String()
}

func (v shedValue) Set(text string) error {
	parsed, err := intake.ParseShed(text)
	if err != nil {
		return err
	}
	*v.dst = parsed
	return nil
}

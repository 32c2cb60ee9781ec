package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	floatType    = reflect.TypeFor[float64]()
)

// parse sets the field to the value of the text, and returns a description of the values that are
// needed. Errors do not contain the text, except those of the field's type.
func (s Setting) parse(field reflect.Value, text string) (needed string, err error) {
	if u, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return "", u.UnmarshalText([]byte(text))
	}
	value, needed, err := s.value(text)
	if s.auto {
		needed += ", " + s.bounds() + ","
	}
	if err != nil && needed != "" {
		err = errors.New(needed + " is needed")
	}
	if err == nil {
		field.Set(reflect.ValueOf(value).Convert(s.typ))
	}
	return needed, err
}

// value returns a value that is convertible to the setting's type. The error names a missing
// requirement.
func (s Setting) value(text string) (value any, needed string, err error) {
	trimmed := strings.TrimSpace(text)
	switch format := s.tag.Get("format"); {
	case len(s.enum()) > 0:
		needed = "one of " + strings.Join(s.enum(), ", ")
		err = errSyntax
		for _, word := range s.enum() {
			if strings.EqualFold(text, word) {
				value, err = word, nil
			}
		}
	case format == "bytes":
		value, err = parseSize(text, s.typ.Bits())
	case format == "port":
		needed = "a port from 0 to 65535"
		value, err = strconv.ParseUint(trimmed, 10, 16)
	case format == "host":
		value, err = parseHost(trimmed)
	case s.typ == durationType && format == "":
		needed = "a duration such as 30s or 5m"
		if value, err = time.ParseDuration(trimmed); err != nil {
			value, err = s.parseUnits(trimmed)
		}
	case s.typ == durationType:
		needed = "a number of " + format
		value, err = s.parseUnits(trimmed)
	case s.kind() == reflect.Bool:
		needed = "true or false"
		value, err = strconv.ParseBool(text)
	case s.kind() == reflect.Float64:
		needed = "a number"
		value, err = parseFloat(trimmed)
	case s.kind() == reflect.String:
		value = text
	default:
		needed = "an integer"
		value, err = strconv.ParseInt(trimmed, 10, s.typ.Bits())
	}
	return value, needed, err
}

func (s Setting) enum() []string {
	return strings.FieldsFunc(s.tag.Get("enum"), func(r rune) bool { return r == ',' })
}

var errSyntax = errors.New("invalid syntax")

func parseFloat(text string) (float64, error) {
	number, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsNaN(number) || math.IsInf(number, 0)) {
		err = errSyntax
	}
	return number, err
}

// unit returns the unit of numbers that are durations.
func (s Setting) unit() time.Duration {
	return map[string]time.Duration{"": time.Second, "seconds": time.Second, "milliseconds": time.Millisecond}[s.tag.Get("format")]
}

func (s Setting) parseUnits(text string) (time.Duration, error) {
	number, err := parseFloat(text)
	if err == nil && math.Abs(number) > float64(math.MaxInt64/s.unit())/2 {
		err = errSyntax
	}
	return time.Duration(number * float64(s.unit())), err
}

// text returns the field's value in the syntax of its sources; the value of a secret is masked.
func (s Setting) text(field reflect.Value) string {
	value := field.Interface()
	switch {
	case s.auto && s.outOfBounds(field) != "":
		return ""
	case s.typ == durationType && s.tag.Get("format") != "":
		value = float64(field.Int()) / float64(s.unit())
	}
	return fmt.Sprint(s.mask(value))
}

// outOfBounds returns the allowed values if the field's value is not allowed.
func (s Setting) outOfBounds(field reflect.Value) (allowed string) {
	low, exclusive, lowErr := s.bound("min")
	high, _, highErr := s.bound("max")
	value := number(field)
	matches, patternErr := regexp.MatchString(s.tag.Get("pattern"), field.String())
	switch err := errors.Join(lowErr, highErr, patternErr); {
	case err != nil:
		return fmt.Sprintf("as its tags, which are malformed, require: %v", err)
	case s.kind() == reflect.String && !matches:
		return s.tag.Get("allowed")
	case value > low && value <= high || value == low && !exclusive:
		return ""
	}
	return s.bounds()
}

// number returns the field's number; 0 if it has none.
func number(field reflect.Value) float64 {
	if field.CanConvert(floatType) {
		return field.Convert(floatType).Float()
	}
	return 0
}

// bound returns the limit in a tag; without the tag there is no limit.
func (s Setting) bound(name string) (limit float64, exclusive bool, err error) {
	text, ok := s.tag.Lookup(name)
	if !ok {
		return math.Inf(map[string]int{"min": -1, "max": 1}[name]), false, nil
	}
	if s.typ == durationType {
		s.tag = "" // no format: Go's syntax
	}
	text, exclusive = strings.CutPrefix(text, ">")
	value := reflect.New(s.typ).Elem()
	_, err = s.parse(value, text)
	return number(value), exclusive, err
}

// bounds describes the bounds; there is a lower one.
func (s Setting) bounds() string {
	low, high := s.tag.Get("min"), s.tag.Get("max")
	above, exclusive := strings.CutPrefix(low, ">")
	switch zero := s.tag.Get("zero"); {
	case exclusive && high != "":
		return "more than " + above + " and at most " + high
	case exclusive:
		return "more than " + above
	case high != "":
		return low + " to " + high
	case zero != "":
		return fmt.Sprintf("0 (%s) or more", zero)
	case low == "0":
		return "0 or more"
	default:
		return "at least " + low
	}
}

package main

import (
	"errors"
	"math"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
)

// sizeValue is a size in bytes, with an optional unit.
type sizeValue[T int | int64] struct{ dst *T }

func (v sizeValue[T]) String() string { return intValue[T](v).String() }

func (v sizeValue[T]) Set(text string) error {
	bytes, err := parseSize(text)
	if err != nil {
		return err
	}
	if int64(T(bytes)) != bytes {
		return errSizeTooLarge
	}
	*v.dst = T(bytes)
	return nil
}

var (
	errSize = errors.New("a number of bytes is needed, such as 268435456, 256MiB or 1.5GB " +
		"(kB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB powers of 1024)")
	errSizeTooLarge = errors.New("that is too large: a number of bytes below 8388608TiB is needed")
)

var sizeForm = regexp.MustCompile(`^([0-9]+)(\.[0-9]+)? ?([A-Za-z]*)$`)

var sizeUnits = map[string]uint64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// parseSize parses a number of bytes. Fractions of a unit are rounded down to
// bytes; fractions of a byte are invalid.
func parseSize(text string) (int64, error) {
	form := sizeForm.FindStringSubmatch(strings.TrimSpace(text))
	if form == nil {
		return 0, errSize
	}
	unit, known := sizeUnits[strings.ToLower(form[3])]
	if !known || unit == 1 && form[2] != "" {
		return 0, errSize
	}
	number, err := strconv.ParseUint(form[1], 10, 64)
	if err != nil {
		return 0, errSizeTooLarge
	}
	high, bytes := bits.Mul64(number, unit)
	part, err := strconv.ParseFloat("0"+form[2], 64)
	if err != nil {
		return 0, errSize
	}
	bytes, carry := bits.Add64(bytes, uint64(part*float64(unit)), 0)
	if high+carry > 0 || bytes > math.MaxInt64 {
		return 0, errSizeTooLarge
	}
	return int64(bytes), nil
}

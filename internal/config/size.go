package config

import (
	"errors"
	"math/big"
	"regexp"
	"strings"
)

var (
	errSize = errors.New("a number of bytes is needed, such as 268435456, 256MiB or 1.5GB " +
		"(kB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB powers of 1024)")
	errSizeTooLarge = errors.New("that is too large: a number of bytes below 8388608TiB is needed")
)

var sizeForm = regexp.MustCompile(`^([0-9]+)(\.[0-9]+)? ?([KkMmGgTt][Ii]?[Bb]|[Bb]?)$`)

var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// parseSize parses a number of bytes for an integer of the given number of bits. Fractions of a
// unit are rounded down to bytes; fractions of a byte are invalid.
func parseSize(text string, bits int) (int64, error) {
	form := sizeForm.FindStringSubmatch(strings.TrimSpace(text))
	if form == nil {
		return 0, errSize
	}
	unit := sizeUnits[strings.ToLower(form[3])]
	if unit == 1 && form[2] != "" {
		return 0, errSize
	}
	number, _ := new(big.Rat).SetString(form[1] + form[2])
	number.Mul(number, new(big.Rat).SetInt64(unit))
	bytes := new(big.Int).Quo(number.Num(), number.Denom())
	if bytes.BitLen() >= bits {
		return 0, errSizeTooLarge
	}
	return bytes.Int64(), nil
}

package config

import (
	"math"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "268435456": 268435456, " 7 ": 7, "1b": 1, "256MiB": 256 << 20, "64KiB": 64 << 10, "10GiB": 10 << 30, "2TiB": 2 << 40,
		"1kB": 1e3, "512MB": 512e6, "1GB": 1e9, "3TB": 3e12, "1gib": 1 << 30, "1GIB": 1 << 30, "10 GiB": 10 << 30,
		"1.5GiB": 3 << 29, "0.5kB": 500, "1.0001kB": 1000, "9223372036854775807": math.MaxInt64, "8388607.5TiB": math.MaxInt64 - 1<<39 + 1,
	} {
		if got, err := parseSize(text, 64); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "-1", "-1MiB", "+1", "1.5", "1.5B", ".5GiB", "1.GiB", "1e6", "0x10", "MiB", "1M", "1K", "1Mib/s", "1PiB", "1  MiB", "1\nMiB", "1_000",
		"9223372036854775808", "8388608TiB", "18446744073709551615", "18446744073709551616", "99999999999999999999TiB", "16777216TiB", "NaN", "∞", "١",
	} {
		if got, err := parseSize(text, 64); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
	for text, ok := range map[string]bool{"2147483647": true, "2GiB": false} {
		if got, err := parseSize(text, 32); (err == nil) != ok {
			t.Errorf("%q of 32 bits: %d, %v", text, got, err)
		}
	}
}

package ratelimit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/config"
)

// Limit is the limit of one emitter.
type Limit struct {
	// Emitter is the emitter_id, without JSON escapes.
	Emitter string `key:"emitter" json:"emitter" required:"the emitter_id is needed" help:"emitter_id that the limit is for"`
	// Rate and Burst have the meaning of Config.
	Rate  float64 `key:"rate" json:"rate" min:"0" zero:"none" required:"a number of messages per second is needed; 0 is no limit" help:"messages per second; 0 means no limit"`
	Burst float64 `key:"burst" json:"burst,omitempty" min:"0" zero:"as much as the rate" help:"burst in messages; 0 means one second of the rate"`
}

// Limits are those of single emitters.
type Limits []Limit

// maxLimits is the maximum number of Limits.
const maxLimits = 10_000

// UnmarshalText parses a JSON array of limits, or one limit as a JSON object. It does not validate
// their values.
func (l *Limits) UnmarshalText(text []byte) error {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		*l = nil
		return nil
	}
	if !json.Valid(text) {
		return errors.New(neededLimits)
	}
	var limits []Limit
	err := decodeKnown(text, &limits)
	if text[0] == '{' {
		limits = make([]Limit, 1)
		err = decodeKnown(text, &limits[0])
	}
	if err != nil {
		return fmt.Errorf("%s: %w", neededLimits, err)
	}
	*l = limits
	return nil
}

const neededLimits = `a list of objects is needed, such as [{"emitter":"web-1","rate":100,"burst":500}]`

// decodeKnown decodes JSON and returns an error for a key that into does not have.
func decodeKnown(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// String returns the limits as UnmarshalText parses them, empty if there are none.
func (l Limits) String() string {
	if len(l) == 0 {
		return ""
	}
	text, err := json.Marshal([]Limit(l))
	if err != nil {
		return "" // does not happen: the numbers are finite
	}
	return string(text)
}

// Validate returns an error if a limit is invalid or an emitter has two.
func (l Limits) Validate() error {
	if len(l) > maxLimits {
		return config.Refuse("limits", len(l), fmt.Sprintf("at most %d limits", maxLimits), "LIMITS has %d limits: there may be %d", len(l), maxLimits)
	}
	seen := make(map[string]bool, len(l))
	for _, one := range l {
		switch {
		case one.Emitter == "" || !utf8.ValidString(one.Emitter):
			return config.Refuse("emitter", one.Emitter, "an emitter_id", "LIMITS: the emitter %q must be an emitter_id", one.Emitter)
		case seen[one.Emitter]:
			return config.Refuse("emitter", one.Emitter, "an emitter that no other limit has", "LIMITS: the emitter %q is listed twice: it may be once", one.Emitter)
		case !(one.Rate >= 0) || math.IsInf(one.Rate, 0):
			return config.Refuse("rate", one.Rate, "0 (none) or more", "LIMITS: the rate of %q is %v: it must be 0 (none) or more", one.Emitter, one.Rate)
		case !(one.Burst >= 0) || math.IsInf(one.Burst, 0):
			return config.Refuse("burst", one.Burst, "0 (as much as the rate) or more", "LIMITS: the burst of %q is %v: it must be 0 (as much as the rate) or more", one.Emitter, one.Burst)
		case one.Burst > 0 && one.Rate == 0:
			return config.Refuse("burst", one.Burst, "0 without a rate", "LIMITS: the burst of %q is %v: it must be 0 without a rate", one.Emitter, one.Burst)
		}
		seen[one.Emitter] = true
	}
	return nil
}

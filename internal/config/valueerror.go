package config

import "fmt"

// ValueError is the refusal of a value.
type ValueError struct {
	// Key is that of the setting, of the field of an item, or the name of the variable.
	Key string
	// Value is what was refused, masked if it is secret; nil is not to be shown.
	Value any
	// Allowed is what is allowed, in words.
	Allowed string
	// Err says all of it in a sentence.
	Err error
}

// Refuse returns a ValueError whose sentence is that of the format.
func Refuse(key string, value any, allowed, format string, args ...any) *ValueError {
	return &ValueError{Key: key, Value: value, Allowed: allowed, Err: fmt.Errorf(format, args...)}
}

// Error returns the sentence.
func (e *ValueError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ValueError) Unwrap() error { return e.Err }

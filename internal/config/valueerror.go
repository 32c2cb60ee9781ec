package config

import "fmt"

// ValueError is the refusal of a value.
type ValueError struct {
	// Key is the key of the setting or of the field of an item, or the name of the variable.
	Key string
	// Value is the refused value, masked if it is secret; nil: the value is not shown.
	Value any
	// Allowed describes the allowed values.
	Allowed string
	// Err is a sentence with all of these.
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

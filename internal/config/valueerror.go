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

// CheckHeld refuses a limit below what is held now, of which the format makes a clause.
func CheckHeld(key string, limit, held int64, format string, args ...any) error {
	if held <= limit {
		return nil
	}
	return Refuse(key, limit, fmt.Sprintf("at least the %d that are held now", held), "%s is %d: %s now, it must be at least as many", key, limit, fmt.Sprintf(format, args...))
}

// Error returns the sentence.
func (e *ValueError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ValueError) Unwrap() error { return e.Err }

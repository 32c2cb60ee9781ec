// Package adminapi has the documents of the admin API: the bodies of responses, which the server
// (package admin) encodes and the client (package adminclient) decodes. Their meaning is described
// in internal/admin/openapi.json; a golden file of this package pins their encoding. The package
// imports no other package of the project and has no state.
package adminapi

import (
	"fmt"
	"time"
)

// Volume is a number of packets and of the messages in them.
type Volume struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
}

// Duration is a duration, not negative, that is a text such as "1m30s" in JSON.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	if parsed < 0 {
		return fmt.Errorf("the duration %s is negative", text)
	}
	*d = Duration(parsed)
	return nil
}

// String returns the text.
func (d Duration) String() string { return time.Duration(d).String() }

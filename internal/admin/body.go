package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/adminapi"
)

const (
	// maxBodyBytes bounds the body of a request.
	maxBodyBytes = 1 << 20
	// maxPublicBytes bounds the body of a request that needs no credential; such a body has a token
	// at most.
	maxPublicBytes = 16 << 10
	// maxReasonBytes bounds the reason of a change.
	maxReasonBytes = 1000
)

// options are the members that the body of any change may have.
type options struct {
	TTL    adminapi.Duration `json:"ttl"`
	Reason reason            `json:"reason"`
}

// reason is a text of limited length.
type reason string

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *reason) UnmarshalText(text []byte) error {
	if len(text) > maxReasonBytes {
		return allowedError(fmt.Sprintf("a text of at most %d bytes", maxReasonBytes))
	}
	*r = reason(text)
	return nil
}

// allowedError is an error that describes the allowed values.
type allowedError string

func (e allowedError) Error() string { return "it must be " + string(e) }

// readBody reads the whole body of a request, of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit { // before a client is told to continue
		return nil, refuse(tooLarge, "the body is larger than %d bytes", limit)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, refuse(tooLarge, "the body is larger than %d bytes", limit)
	case err != nil:
		return nil, refuse(malformed, "the body cannot be read: %v", err)
	}
	return body, nil
}

// decode decodes a JSON object strictly: names are exact and occur once, unknown names are refused,
// and fields with the tag required must be present. An empty body is an empty object.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	return decodeObject(body, reflect.ValueOf(into).Elem(), "")
}

func decodeObject(text []byte, into reflect.Value, prefix string) error {
	members, err := membersOf(text, prefix)
	if err != nil {
		return err
	}
	fields := reflect.VisibleFields(into.Type())
	var known []string
	for _, field := range fields {
		name := field.Tag.Get("json")
		if name == "" {
			continue
		}
		known = append(known, name)
		value, there := members[name]
		delete(members, name)
		if string(value) == "null" {
			there = false
		}
		if !there && field.Tag.Get("required") != "" {
			return missing(prefix + name)
		}
		if there {
			if err := decodeValue(value, into.FieldByIndex(field.Index), prefix+name); err != nil {
				return err
			}
		}
	}
	for name := range members {
		return unknown(prefix+name, known)
	}
	return nil
}

func missing(key string) *refusal {
	r := refuse(malformed, "%s is missing", key)
	r.Key = key
	return r
}

func unknown(key string, known []string) *refusal {
	slices.Sort(known)
	allowed := strings.Join(known, ", ")
	r := refuse(malformed, "%s is unknown; known are %s", shown(key), allowed)
	r.Key, r.Allowed = key, allowed
	return r
}

// membersOf returns the members of a JSON object that is the whole text.
func membersOf(text []byte, prefix string) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	start, err := decoder.Token()
	if err == nil && start != json.Delim('{') {
		return nil, refuse(malformed, "%s must be a JSON object", nameOr(prefix, "the body"))
	}
	members := make(map[string]json.RawMessage)
	for err == nil && decoder.More() {
		var name json.Token
		var value json.RawMessage
		if name, err = decoder.Token(); err != nil {
			break
		}
		if err = decoder.Decode(&value); err != nil {
			break
		}
		key, _ := name.(string) // names of members are texts
		if _, again := members[key]; again {
			return nil, refuse(malformed, "%s occurs twice", shown(prefix+key))
		}
		members[key] = value
	}
	if err == nil {
		_, err = decoder.Token() // the end of the object
	}
	if err == nil {
		if _, end := decoder.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		return nil, refuse(malformed, "%s is no valid JSON: %v", nameOr(prefix, "the body"), err)
	}
	return members, nil
}

func nameOr(prefix, whole string) string {
	if prefix == "" {
		return whole
	}
	return strings.TrimSuffix(prefix, ".")
}

func decodeValue(text json.RawMessage, into reflect.Value, key string) error {
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	switch {
	case into.Kind() == reflect.Struct:
		return decodeObject(text, into, key+".")
	case into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Struct:
		return decodeList(text, into, key)
	}
	err := json.Unmarshal(text, into.Addr().Interface())
	if err == nil {
		return nil
	}
	var allowed allowedError
	if !errors.As(err, &allowed) {
		allowed = allowedError(needed(into))
	}
	var value any
	if json.Unmarshal(text, &value) != nil { // a number that is too large
		value = string(text)
	}
	return refuseValue(key, value, string(allowed))
}

func decodeList(text json.RawMessage, into reflect.Value, key string) error {
	var items []json.RawMessage
	if json.Unmarshal(text, &items) != nil {
		return refuse(malformed, "%s must be a list of objects", key)
	}
	into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
	for i, item := range items {
		if err := decodeObject(item, into.Index(i), fmt.Sprintf("%s[%d].", key, i)); err != nil {
			return err
		}
	}
	return nil
}

// needed describes the values of a field.
func needed(field reflect.Value) string {
	if field.Type() == reflect.TypeFor[adminapi.Duration]() {
		return `a duration such as "60s"`
	}
	switch field.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int64:
		return "an integer"
	case reflect.Slice:
		return "a list of texts"
	default:
		return "a text"
	}
}

package otlp

import (
	"encoding/json"
	"strings"
	"testing"
)

// jsonFaults are values that RFC 8259 excludes, in the forms that lenient readers accept.
var jsonFaults = []string{
	`01`, `-01`, `-`, `+1`, `1+1`, `1-`, `1.`, `-1.`, `.5`, `-.5`, `1.2.3`, `1e`, `1e+`, `1E-`, `1ee2`, `1.e3`, `e1`, `1e1.5`,
	"\"a\nb\"", "\"\t\"", "\"\x00\"", "\"\x1f\"", `"\a"`, `"\x41"`, `"\0"`, `"\u12"`, `"\u00g0"`, `"\U0041"`, `"\'"`, "\"\\\n\"", `"\u1"`,
	`tru`, `truth`, `nul`, `fals`, `[1,]`, `[,1]`, `{"a":1,}`, `{a:1}`, `{"a"}`, `'a'`, ``,
}

// A value that is not JSON is refused wherever a request has it, also under a key that has no
// meaning.
func TestJSONFaults(t *testing.T) {
	for _, form := range []string{
		`{"x":?}`,
		`{"x":[{"y":?}],"resourceLogs":[]}`,
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":?}}]}]}]}`,
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":?}}]}]}]}`,
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"doubleValue":?}}]}]}]}`,
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":?}]}]}]}`,
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":?}]}]}]}`,
	} {
		for _, fault := range jsonFaults {
			if _, err := AppendRequest(nil, []byte(strings.Replace(form, "?", fault, 1))); err == nil {
				t.Errorf("%s: %q is accepted", form, fault)
			}
		}
	}
}

// FuzzJSON compares the texts that are accepted with those that encoding/json accepts.
func FuzzJSON(f *testing.F) {
	for _, fault := range jsonFaults {
		f.Add([]byte(`{"x":` + fault + `}`))
	}
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"intValue":1e2},"flags":1,"traceId":"0a"}]}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := AppendRequest(nil, text); err == nil && !json.Valid(text) {
			t.Errorf("%q is accepted", text)
		}
		if _, err := AppendValueOfJSON(nil, text); err == nil && !json.Valid(text) {
			t.Errorf("%q is accepted as a value", text)
		}
	})
}

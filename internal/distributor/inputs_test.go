package distributor

import (
	"strings"
	"testing"
)

func TestInputsText(t *testing.T) {
	for text, want := range map[string]string{
		"":           "",
		"http":       "http",
		" http , ":   "http",
		"nothing":    `"nothing" is no input: there are http,`,
		"http=:8080": `"http=:8080" must have no address`,
	} {
		var inputs Inputs
		err := inputs.UnmarshalText([]byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if inputs.String() != want {
			t.Errorf("%q is read as %q", text, inputs)
		}
	}
}

//go:build linux

package main

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptionsAreRefusedByName(t *testing.T) {
	for _, arguments := range [][]string{
		{"-rounds", "0"}, {"-round", "1ms"}, {"-case", "("}, {"-case", "nothing-like-it"}, {"further"}, {"-unknown"},
	} {
		var output bytes.Buffer
		if _, err := parseOptions(arguments, &output); err == nil {
			t.Errorf("parseOptions(%q) gave no error", arguments)
		}
	}
	o, err := parseOptions([]string{"-rounds", "7", "-case", "^single$"}, &bytes.Buffer{})
	if err != nil || o.rounds != 7 || !o.only.MatchString("single") || o.only.MatchString("single-lines") {
		t.Errorf("parseOptions gave %+v, %v", o, err)
	}
}

package config

import (
	"encoding/json"
	"strings"
	"testing"
)

// An override replaces the values of all sources, in a copy.
func TestSet(t *testing.T) {
	_, loaded, err := load(t, "rate: 1", map[string]string{"RATE": "2"})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Shadowed) != 1 || loaded.Shadowed[0].Key != "rate" {
		t.Errorf("shadowed are %v, want rate", loaded.Shadowed)
	}
	changed := loaded.Clone()
	for key, value := range map[string]string{
		"rate": "3.5", "timeout_ms": `"20"`, "mode": `"slow"`, "verbose": "true", "size_bytes": `"2 KiB"`,
		"hosts": `[{"name":"a","weight":2,"key":"s3cret"},"b"]`,
	} {
		if err := changed.Set(key, json.RawMessage(value)); err != nil {
			t.Error(err)
		}
	}
	got, err := changed.YAML()
	if err != nil {
		t.Fatal(err)
	}
	const want = "size_bytes: 2048\nmode: slow\ntimeout_ms: 20\nrate: 3.5\nhosts:\n- key: xxxxx\n  name: a\n  weight: 2\n- name: b\nverbose: true\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := changed.Set("hosts", json.RawMessage("[]")); err != nil || len(changed.Config.Hosts) != 0 {
		t.Errorf("%v, %v", err, changed.Config.Hosts)
	}
	if loaded.Config.Rate != 2 || loaded.Origin("rate").String() != "environment" || changed.Origin("rate").String() != "override" {
		t.Errorf("%v from %v, %v from %v", loaded.Config.Rate, loaded.Origin("rate"), changed.Config.Rate, changed.Origin("rate"))
	}
}

// An invalid override is refused with key, value and what is allowed, and changes nothing.
func TestSetErrors(t *testing.T) {
	_, loaded, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ key, value, want string }{
		{"rat", "1", `override: unknown key "rat"; known are port`},
		{"rate", "-1", "rate is -1: it must be 0 (none) or more"},
		{"rate", `"many"`, `rate: "many": a number is needed`},
		{"rate", "null", "rate: the value is missing"},
		{"rate", "{}", "rate: an object is not a value of this setting"},
		{"rate", "[", "rate: unexpected end of JSON input"},
		{"mode", `"quick"`, `mode: "quick": one of fast, slow is needed`},
		{"hosts", `[{"name":"1"}]`, `hosts[0].name: the name "1" must be letters`},
		{"verbose", `[true,false]`, `verbose: "true,false": true or false is needed`},
	} {
		if err := loaded.Set(c.key, json.RawMessage(c.value)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s=%s: %v, want %s", c.key, c.value, err, c.want)
		}
	}
	if text, err := loaded.YAML(); err != nil || len(text) > 0 {
		t.Errorf("%s%v", text, err)
	}
}

func TestAllowed(t *testing.T) {
	loader, _, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, s := range loader.Settings {
		got[s.Key] = s.Allowed()
	}
	for key, want := range map[string]string{
		"mode": "one of fast, slow", "rate": "a number, 0 (none) or more", "size_bytes": "1 KiB to 1 GiB",
		"timeout_ms": "a number of milliseconds, more than 0", "user_name": "",
	} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
}

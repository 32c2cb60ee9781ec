package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// FuzzFile reads files of any content. What is accepted is read from its own printed form as the same
// settings, and no error shows a secret.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"port: 1\ntimeout_ms: 1.5\nsize_bytes: 1 MiB\nrate: 2\nwindow_sec: auto\n",
		"hosts: [{name: a, weight: 2, key: k}, 'b=1']\nverbose: true\n",
		"user_name: \"x: \\\"y\\\"\\n\"\nmode: FAST\n", "user_name: |\n  text\n  more\n", "user_name: &a b\nmode: *a\n",
		"--- \nport: 0x10\n", "{port: 1, weight: .5}", "- port", "port:\n  a: 1\n", "# nothing\n", "user_name: null\nwait: ~\n", "? port\n: 1\n", "<<: {port: 1}\n", "user_name: !!str 1\n",
	} {
		f.Add(text)
	}
	const secret = "s3cret-9731"
	file, err := os.Create(filepath.Join(f.TempDir(), "c.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = file.Close() })
	f.Fuzz(func(t *testing.T, text string) {
		read := func(text string) (*Loaded[example], error) {
			loader := New(defaults(), func(string) (string, bool) { return "", false })
			loader.File = file.Name()
			if _, err := file.WriteAt([]byte(text), 0); err != nil {
				t.Fatal(err)
			}
			if err := file.Truncate(int64(len(text))); err != nil { // not before: file systems then write it to disk at once
				t.Fatal(err)
			}
			return loader.Load()
		}
		if _, err := read("token: " + secret + "\n" + text); err != nil && strings.Contains(err.Error(), secret) && !strings.Contains(text, secret) {
			t.Fatalf("%q: %v", text, err)
		}
		loaded, err := read(text)
		if err != nil || slices.ContainsFunc(loaded.Config.Hosts, func(h host) bool { return h.Weight == 0 }) {
			return // or a host that is a text, for which this example allows more than for an object
		}
		printed, err := loaded.YAML()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := read(string(printed))
		if err != nil {
			t.Fatalf("%q is printed as %q, which is refused: %v", text, printed, err)
		}
		want, got := withoutSecrets(loaded.Config), withoutSecrets(again.Config)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %+v, and printed as %q, which is %+v", text, want, printed, got)
		}
	})
}

// withoutSecrets returns a configuration without what is never printed.
func withoutSecrets(c example) example {
	c.Token = ""
	c.Hosts = append(hosts(nil), c.Hosts...)
	for i := range c.Hosts {
		c.Hosts[i].Key = ""
	}
	return c
}

// FuzzOverride sets lists and texts to JSON values: what is accepted is the value that encoding/json
// decodes.
func FuzzOverride(f *testing.F) {
	for _, text := range []string{`[]`, `[{"name":"a","weight":2}]`, `["b=1",{"name":"a","weight":1e-1}]`, `[{"name":"\u0061\/","weight":"2"}]`,
		`[{"weight":1,"name":"a","name":"b"}]`, `"\ud83d\ude00"`, `[{"name":"a","weight":1},null]`, `[[]]`, `"x: y"`, `" # "`, `5`} {
		f.Add(text)
	}
	loader := New(defaults(), func(string) (string, bool) { return "", false })
	base, err := loader.Load()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		loaded := base.Clone()
		var name string
		if err := loaded.Set("user_name", json.RawMessage(text)); err == nil && json.Unmarshal([]byte(text), &name) == nil && loaded.Config.Name != name {
			t.Fatalf("%s is taken for %q", text, loaded.Config.Name)
		}
		if loaded.Set("hosts", json.RawMessage(text)) != nil {
			return
		}
		var want []map[string]any
		if json.Unmarshal([]byte(text), &want) != nil || len(want) != len(loaded.Config.Hosts) {
			return // items that are texts
		}
		for i, one := range want {
			if of, isText := one["name"].(string); !isText || of != loaded.Config.Hosts[i].Name {
				t.Fatalf("%s: item %d is taken for %+v", text, i, loaded.Config.Hosts[i])
			}
			if weight, isNumber := one["weight"].(float64); isNumber && weight != loaded.Config.Hosts[i].Weight {
				t.Fatalf("%s: item %d is taken for %+v", text, i, loaded.Config.Hosts[i])
			}
		}
	})
}

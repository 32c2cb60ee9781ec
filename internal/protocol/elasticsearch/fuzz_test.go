package elasticsearch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
)

// FuzzBulk compares the items of responses with the items that encoding/json reads.
func FuzzBulk(f *testing.F) {
	f.Add([]byte("{\"index\":{}}\n\v{}\n {\"index\":{}}\n\u00a0{}\n\t{\"index\":{}}\r\n {}\f\n"))
	f.Add([]byte("{\"index\":{}}\n{}\n\u00a0{\"index\":{}}\n{}\n"))
	f.Add([]byte(one))
	f.Add([]byte("{\"index\":{\"_id\":\"1\",\"_index\":\"j\"}}\nbad\n\n{\"delete\":{}}\n{\"update\":{}}\n{}\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := new(protocoltest.System)
		p := start(t, s)
		response, _ := s.Do(p, "POST /i/_bulk", string(body), agent, beat)
		want, ok := referenceItems(body)
		if ok != (response.Status == 200) || !ok && response.Status != 400 {
			t.Fatalf("%q: %d %s, and %v", body, response.Status, response.Body, ok)
		}
		if !ok {
			return
		}
		var decoded struct {
			Errors bool
			Items  []map[string]struct{ Status int }
		}
		if err := json.Unmarshal(response.Body, &decoded); err != nil {
			t.Fatalf("%q: %v", response.Body, err)
		}
		var got []string
		for _, item := range decoded.Items {
			for name, one := range item {
				got = append(got, fmt.Sprint(name, one.Status))
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") || decoded.Errors != strings.Contains(strings.Join(want, ""), "400") {
			t.Fatalf("%q: %q, want %q", body, got, want)
		}
	})
}

// referenceItems returns the operation and the status of each item; ok is false if the request
// is malformed.
func referenceItems(body []byte) (items []string, ok bool) {
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	for len(lines) > 0 {
		line := trimmed(lines[0])
		lines = lines[1:]
		if line == "" {
			continue
		}
		name, valid := referenceAction(line)
		if !valid {
			return nil, false
		}
		if name == "delete" {
			items = append(items, "delete400")
			continue
		}
		if len(lines) == 0 {
			return nil, false
		}
		var document map[string]json.RawMessage
		err := json.Unmarshal([]byte(trimmed(lines[0])), &document)
		lines = lines[1:]
		if name == "update" || err != nil || document == nil {
			items = append(items, name+"400")
		} else {
			items = append(items, name+"201")
		}
	}
	return items, len(items) > 0
}

// trimmed returns a line without the white space that JSON permits.
func trimmed(line string) string { return strings.Trim(line, " \t\r\n") }

func referenceAction(line string) (name string, ok bool) {
	decoder := json.NewDecoder(strings.NewReader(line))
	var action map[string]map[string]json.RawMessage
	if decoder.Decode(&action) != nil || decoder.More() || strings.Count(line, `:`) == 0 || len(action) != 1 {
		return "", false
	}
	if !json.Valid([]byte(line)) {
		return "", false
	}
	for name = range action {
		ok = action[name] != nil
	}
	switch name {
	case "create", "index", "update", "delete":
		return name, ok
	default:
		return "", false
	}
}

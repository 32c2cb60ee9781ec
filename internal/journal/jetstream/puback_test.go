package jetstream

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzPubAck compares with encoding/json: what is read without reflection is what that reads.
func FuzzPubAck(f *testing.F) {
	for _, text := range []string{
		`{"stream":"LOGSTREAMER-0","seq":17}`, `{"stream":"LOGSTREAMER-0","seq":17,"duplicate":true}`, `{"stream":"s","domain":"d","seq":1}`,
		`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"s","seq":0}`, `{"stream":"s","seq":1,"error":{}}`,
		`{"stream":"s","seq":01}`, `{"stream":"s","seq":18446744073709551616}`, `{"stream":"a\"","seq":1}`, `{"stream":"","seq":1}}`, `null`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := parsePubAck(data)
		var want pubAck
		if err := json.Unmarshal(data, &want); err == nil && (!ok || !reflect.DeepEqual(got, want)) {
			t.Fatalf("%s is %+v, %v; want %+v", data, got, ok, want)
		}
		if err := json.Unmarshal(data, &want); err != nil && ok && (got.Duplicate || got.Error != nil) {
			t.Fatalf("%s is %+v", data, got)
		}
	})
}

package adminapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"
)

// fill sets all fields of a value; each list has one element, to a depth of two lists.
func fill(v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"b":1,"a":"<"}`))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		if depth < 5 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), depth+1)
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(json.RawMessage(`{"b":1,"a":"<"}`)))
	case reflect.String:
		v.SetString("a text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7_000_000_000)
	case reflect.Uint64:
		v.SetUint(7_000_000_000)
	case reflect.Float64:
		v.SetFloat(0.25)
	default:
		panic(fmt.Sprint("a field of the kind ", v.Kind()))
	}
}

// The encoding of each document, empty and with all fields set, is a contract with other programs.
func TestEncoding(t *testing.T) {
	var got bytes.Buffer
	for _, document := range []any{
		new(Analyzer), new(Drain), new(Change), new(ShareExplanation), new(Decision), new(DeadLetter), new(Matched), new(Replay), new(Status), new(Cluster),
		new(Backlog), new(RefusedEmitter), new(Event), new(Session), new(Scale), new(Limit), new(Lease), new(EndedLease), new(TappedPacket), new(Setting), new(Override),
	} {
		v := reflect.ValueOf(document).Elem()
		for _, set := range []bool{false, true} {
			if set {
				fill(v, 0)
			}
			text, err := json.Marshal(v.Interface())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&got, "%s %s\n", v.Type().Name(), text)
			decoded := reflect.New(v.Type())
			if err := json.Unmarshal(text, decoded.Interface()); err != nil {
				t.Fatal(err)
			}
			if again, err := json.Marshal(decoded.Interface()); err != nil || !equalJSON(again, text) {
				t.Errorf("decoded and encoded again, %s is %s, %v", text, again, err)
			}
		}
	}
	want, err := os.ReadFile("testdata/documents.txt")
	if err != nil {
		t.Fatal(err)
	}
	wanted := bytes.Split(want, []byte("\n"))
	for i, line := range bytes.Split(got.Bytes(), []byte("\n")) {
		if i >= len(wanted) || !bytes.Equal(line, wanted[i]) {
			t.Errorf("line %d is\n%s\nwant\n%s", i+1, line, wanted[min(i, len(wanted)-1)])
		}
	}
}

// equalJSON reports whether two texts are the same JSON, with members in any order.
func equalJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func TestNegativeDuration(t *testing.T) {
	for _, text := range []string{`"-1s"`, `"soon"`, `5`} {
		if d := Duration(1); json.Unmarshal([]byte(text), &d) == nil || d != 1 {
			t.Error(text, d)
		}
	}
}

package forward

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
)

// scanned scans data that arrives in parts of a size.
func scanned(data []byte, size int) (length int, err error) {
	var s scanner
	for end := 0; ; end = min(end+size, len(data)) {
		complete, err := s.scan(data[:end], 1<<20)
		if err != nil {
			return 0, err
		}
		if complete {
			return s.at, nil
		}
		if end == len(data) {
			return 0, errEnd
		}
	}
}

func TestNesting(t *testing.T) {
	for depth, want := range map[int]error{maxNesting: nil, maxNesting + 1: errNesting, 1_000_000: errNesting} {
		data := append(bytes.Repeat([]byte{0x91}, depth), 0xc0)
		if _, err := scanned(data, len(data)); !errors.Is(err, want) {
			t.Errorf("%d levels: %v", depth, err)
		}
	}
}

// A value that announces more than may arrive is refused before it arrives.
func TestAnnouncedSize(t *testing.T) {
	for _, data := range [][]byte{{0xdb, 0xff, 0xff, 0xff, 0xff}, {0xc6, 1, 0, 0, 0}, {0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff}, {0xc9, 0xff, 0xff, 0xff, 0xff, 0}} {
		if _, err := scanned(data, len(data)); !errors.Is(err, errSize) {
			t.Errorf("%x: %v", data, err)
		}
	}
}

func TestTimestamp(t *testing.T) {
	at := time.Date(2026, 11, 29, 15, 0, 0, 123456789, time.UTC)
	for _, c := range []struct {
		value any
		want  int64
	}{
		{packTime(at), at.UnixNano()},
		{int(at.Unix()), at.Unix() * 1e9},
		{int(at.UnixMilli()), at.UnixMilli() * 1e6},
		{1795964400.5, 1795964400_500_000_000},
		{0, 0}, {-5, 0}, {nil, 0}, {"2026", 0}, {1e300, 0}, {-1.5, 0}, {1<<63 - 1, 0}, {20_000_000_000, 0},
		{extension{1, []byte("12345678")}, 0}, {extension{0, []byte("1234")}, 0},
	} {
		if got := timestamp(pack(c.value), 0); got != c.want {
			t.Errorf("%v is %d, want %d", c.value, got, c.want)
		}
	}
}

// FuzzForward scans and encodes any data as the reference does, and checks that the packets are
// valid.
func FuzzForward(f *testing.F) {
	f.Add(pack([]any{"tag", []any{[]any{packTime(time.Unix(1, 5)), pairs{{"log", "text \xff\""}, {"n", 1.0}, {1, []any{nil, true, []byte("\xff")}}}}}, pairs{{"chunk", "c"}}}), uint8(3))
	f.Add(pack([]any{"tag", 5, pairs{{"a", pairs{{"b", uint64(1 << 63)}}}}}), uint8(1))
	f.Add(pack([]any{"tag", pack([]any{[]any{5, pairs{{"m", 1}}}, pairs{{"log", "x"}}}), pairs{{"compressed", "text"}, {"fluent_signal", 0}}}), uint8(200))
	f.Add([]byte("\x93\xa1t\x01\x81\xa1a\xc7\x08\x00\x00\x00\x00\x01\x00\x00\x00\x02"), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		value, rest, want := decode(data, 0)
		length, err := scanned(data, int(size)+1)
		if whole, again := scanned(data, len(data)+1); whole != length || !errors.Is(again, err) {
			t.Errorf("%d, %v in parts; %d, %v as a whole", length, err, whole, again)
		}
		if errors.Is(err, errSize) || errors.Is(want, errNesting) && err != nil {
			return // the first error may differ
		}
		if !errors.Is(err, want) || err == nil && length != len(data)-len(rest) {
			t.Fatalf("%d, %v; want %d, %v", length, err, len(data)-len(rest), want)
		}
		if err != nil {
			return
		}
		compareJSON(t, data[:length], value)
		accept(t, data[:length])
	})
}

// A map whose keys are maps is not escaped anew at each level, which would double it each time.
func TestMapsAsKeys(t *testing.T) {
	data := append(bytes.Repeat([]byte{0x81}, maxNesting), 5) // {{{…{5:1}…:1}:1}:1}
	data = append(data, bytes.Repeat([]byte{1}, maxNesting)...)
	text, end := appendJSON(nil, data, 0)
	if want := `{"` + base64.StdEncoding.EncodeToString(data[1:len(data)-1]) + `":1}`; end != len(data) || string(text) != want {
		t.Errorf("%d: %s, want %s", end, text, want)
	}
}

// hasContainerKey reports whether a key of a map is an array or a map.
func hasContainerKey(value any) bool {
	switch v := value.(type) {
	case []any:
		return slices.ContainsFunc(v, hasContainerKey)
	case pairs:
		return slices.ContainsFunc(v, func(pair [2]any) bool {
			switch pair[0].(type) {
			case []any, pairs:
				return true
			}
			return hasContainerKey(pair[1])
		})
	}
	return false
}

func compareJSON(t *testing.T, data []byte, value any) {
	if end := skip(data, 0); end != len(data) {
		t.Errorf("skip says %d, want %d", end, len(data))
	}
	text, end := appendJSON(nil, data, 0)
	if end != len(data) {
		t.Errorf("appendJSON says %d, want %d", end, len(data))
	}
	text = bytes.ToValidUTF8(text, []byte("\uFFFD")) // where the reference has several elements
	if !json.Valid(text) {
		t.Fatalf("%q is no JSON", text)
	}
	if hasContainerKey(value) {
		return // the reference does not have the encoded key
	}
	var got, want any
	if json.Unmarshal(text, &got) != nil || json.Unmarshal([]byte(toJSON(value)), &want) != nil {
		return // numbers beyond float64
	}
	if utf8.Valid(data) && !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nwant %s", text, toJSON(value))
	}
}

func accept(t *testing.T, data []byte) {
	f, err := parseFrame(data)
	if err != nil || f == nil || f.compressed != nil && strings.HasPrefix(string(f.compressed), "z") {
		return
	}
	fixture := new(protocoltest.System).Start(t, "forward")
	s := &session{client: fixture.Receiver.Client(protocoltest.Client, credential.OfCertificate(nil)), protocol: New(Config{}, fixture.Receiver), translator: translator{receiver: fixture.Receiver, peer: netip.MustParseAddr("192.0.2.1")}}
	_ = s.accept(t.Context(), f, len(data)) // any error
}

package gelf

import (
	"net/netip"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
)

var (
	sender  = netip.MustParseAddr("192.0.2.1")
	arrival = time.UnixMilli(1700000000000)
)

// translate returns a record as text; see protocoltest.System.TextOf.
func translate(t testing.TB, text string) (string, error) {
	s := new(protocoltest.System).Start(t, "gelf")
	packets := s.Receiver.NewPackets(t.Context(), nil)
	translator := new(translator)
	nano, err := translator.read([]byte(text))
	if err == nil {
		packets.Begin(&translator.message, nano, arrival)
		err = packets.Group(translator.fill(sender)).Add(&translator.message)
	}
	if err != nil {
		packets.Drop()
		return "", err
	}
	return s.TextOf(packets), nil
}

func TestTranslate(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":"1.1","host":"h","short_message":"m","timestamp":1699999999.25,"level":3,"_service":"s","_user_id":9,"line":7}`: `s/h: 1699999999250 ERROR m {body_key=short_message host=h input=gelf line=7(i) service=s severity_text=3 user_id=9(i)}`,
		`{"short_message":"m"}`: `192.0.2.1: 1700000000000 INFO m {body_key=short_message input=gelf time_unix_nano=0}`,
		`{"host":"h","short_message":"m","level":"warn","timestamp":"1699999999.1234567"}`:                            `h: 1699999999123 WARN m {body_key=short_message host=h input=gelf severity_text=warn time_unix_nano=1699999999123456700}`,
		`{"host":"h","full_message":"f","_host":"other","_facility":"a","facility":"f"}`:                              `h: 1700000000000 INFO f {_facility=a _host=other body_key=full_message facility=f host=h input=gelf time_unix_nano=0}`,
		`{"host":"h","short_message":"s","full_message":"f","level":0,"_":1,"timestamp":"soon","_o":{"a":[1, true]}}`: `h: 1700000000000 FATAL s {_=1(i) body_key=short_message full_message=f host=h input=gelf o.a=[1,true](j) severity_text=0 time_unix_nano=0 timestamp=soon}`,
		`{"host":5,"short_message":7,"level":{}}`:                                                                     `5: 1700000000000 INFO 7 i {body_key=short_message host=5(i) input=gelf level={}(j) time_unix_nano=0}`,
		`{"host":"","_hostname":"n","_sourcetype":"t","_source":"u","short_message":""}`:                              `t/n: 1700000000000 INFO (empty) {body_empty=true body_key=short_message host= hostname=n input=gelf source=u sourcetype=t time_unix_nano=0}`,
	} {
		if got, err := translate(t, text); got != want {
			t.Errorf("%s\n got %s %v\nwant %s", text, got, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, text := range []string{``, `[]`, `"m"`, `{"short_message":"m"`, `{"short_message":"m"}{}`, "\x00", `{}x`} {
		if got, err := translate(t, text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestClock(t *testing.T) {
	for text, want := range map[string]int64{
		`{"timestamp":1699999999}`: 1699999999e9, `{"timestamp":"2001-01-01"}`: 978307200e9, `{"timestamp":"soon"}`: 0, `{}`: 0,
	} {
		if nano, err := new(translator).read([]byte(text)); nano != want || err != nil {
			t.Errorf("%s: %d, %v", text, nano, err)
		}
	}
}

func FuzzTranslate(f *testing.F) {
	f.Add([]byte(`{"version":"1.1","host":"h","short_message":"m","timestamp":1.5,"level":3,"_a":{"b":[]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := translate(t, string(text))
		if valid := protocoltest.IsObject(text); valid != (err == nil) {
			t.Fatalf("%q is %s: %v", text, got, err)
		}
	})
}

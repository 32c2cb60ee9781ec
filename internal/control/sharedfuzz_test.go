package control

import (
	"context"
	"encoding/json"
	"testing"
	"time"
)

// text is a document that does not change.
type text []byte

func (d text) Latest() ([]byte, uint64, error)                       { return d, 1, nil }
func (text) Refresh(context.Context) error                           { return nil }
func (text) Replace(context.Context, []byte, uint64) (uint64, error) { return 0, ErrReplaced }
func (text) Changed() <-chan struct{}                                { return nil }
func (text) Close()                                                  {}

// FuzzShared follows shared settings of any content, which whoever may write the bucket decides. The
// configuration that results is valid, keeps the credentials and commands of this distributor, and is
// the same at each distributor that reads what this one would store.
func FuzzShared(f *testing.F) {
	const (
		begin = `{"version":1,"revision":7,"cluster":"c","ids":{"http://four:1":"analyzer-4"},"overrides":[`
		since = `,"time":"2026-01-02T03:04:05Z"`
	)
	for _, list := range []string{
		`{"path":"settings/rate_limit","value":5,"base":10` + since + `,"expires":"2026-01-02T04:04:05Z","beneath":[{"path":"settings/rate_limit","value":6,"base":10` + since + `}]}`,
		`{"path":"analyzers/a4","value":{"url":"http://four:1","weight":1},"base":null` + since + `},{"path":"analyzers/a4/weight","value":2,"base":1` + since + `}`,
		`{"path":"settings/admin_token","value":"other","base":null},{"path":"settings/autoscale_command","value":"/bin/rm {desired}","base":null}`,
		`{"path":"analyzers","value":[],"base":null},{"path":"analyzers","value":null,"base":null},{"path":"limits/x","value":{"rate":1},"base":null}`,
		`{"path":"settings/rate_burst","value":5,"base":null},{"path":"settings/rate_burst","value":5,"base":null},{"path":"analyzers/a1","value":null}`,
		`{"path":"","value":1},{"path":"analyzers/","value":{}},{"path":"settings/","value":1},{"path":"analyzers/a1/id","value":"a2"},{"path":"settings/analyzers","value":"http://x:1=1"},null`,
	} {
		f.Add([]byte(begin + list + `]}`))
	}
	file := sources(f, three+"rate_limit: 10\nadmin_token: token-of-operators\nautoscale: command\nautoscale_command: 'true {desired}'\n")
	first, _ := (&revision{origin: origin{shared: true}}).resolve(file, nil)
	now := time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, document []byte) {
		content, err := (&sharedStore{document: text(document)}).latest()
		if err != nil {
			return
		}
		r, _ := first.follow(content)
		if err := r.Config.Validate(); err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		if c := r.Config; c.Admin.Token != "token-of-operators" || c.Distributor.Autoscale.Command != "true {desired}" {
			t.Fatalf("%s: %+v", document, c)
		}
		_, _ = r.overrides.expire(now)
		_, _ = r.overrides.nextExpiry(now)
		stored := stored{Revision: r.number, Cluster: r.cluster, IDs: r.ids, Overrides: r.overrides, Last: r.last}
		again, err := encodeShared(stored)
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		content, err = (&sharedStore{document: text(again)}).latest()
		if err != nil {
			t.Fatalf("%s is stored as %s: %v", document, again, err)
		}
		if other, _ := first.follow(content); other.hash() != r.hash() {
			t.Fatalf("%s is stored as %s, which makes\n%s instead of\n%s", document, again, text(settingsOf(other)), settingsOf(r))
		}
	})
}

func settingsOf(r *revision) []byte {
	values := make(map[string]json.RawMessage)
	for _, s := range r.settings {
		values[s.Key] = encode(r.Value(s))
	}
	return encode(values)
}

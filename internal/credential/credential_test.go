package credential

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	sumOfA = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" // of "a"
	sumOfB = "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d" // of "b"
)

func parse(t *testing.T, form Form, lines ...string) *Set {
	t.Helper()
	set, err := Parse([]byte(strings.Join(lines, "\n")), form)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEmitters(t *testing.T) {
	set := parse(t, Emitters, "# of the shop", "", "  web "+sumOfA+" emitters=web-*,shop rate=1.5\r", "all cert:x "+sumOfB)
	web, all := set.Token([]byte("a")), set.Token([]byte("b"))
	if web == nil || web.Name != "web" || web.Rate != 1.5 || web.Role != "" {
		t.Fatalf("%+v", web)
	}
	if all == nil || all.Name != "all" || all.Rate != 0 {
		t.Fatalf("%+v", all)
	}
	for _, wrong := range []string{"", "c", "aa", sumOfA} {
		if p := set.Token([]byte(wrong)); p != nil {
			t.Errorf("%q is a token of %s", wrong, p.Name)
		}
	}
	for id, allowed := range map[string]bool{"web-1": true, "web-": true, "web": false, "my-web-1": false, "shop": true, "shop-1": false} {
		if web.AllowsEmitter([]byte(id)) != allowed || !all.AllowsEmitter([]byte(id)) {
			t.Errorf("%s is allowed: %v", id, !allowed)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true},
		{"*", "anything", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "acb", false},
		{"*b*", "abc", true},
		{"*b*", "ac", false},
		{"a**c", "abc", true},
		{"*ab*b", "ab", false},
		{"w[eb]?", "we", false},
	} {
		if got := matches(strings.Split(c.pattern, "*"), c.text); got != c.want {
			t.Errorf("%s matches %q: %v", c.pattern, c.text, got)
		}
	}
}

func TestAdmins(t *testing.T) {
	set := parse(t, Admins, "alice operate "+sumOfA+" cert:alice.example", "bob read "+sumOfB)
	if p := set.Token([]byte("a")); p == nil || p.Name != "alice" || p.Role != Operate {
		t.Errorf("%+v", p)
	}
	if p := set.Token([]byte("b")); p == nil || p.Name != "bob" || p.Role != Read {
		t.Errorf("%+v", p)
	}
}

func TestCertificates(t *testing.T) {
	set := parse(t, Emitters, "web cert:web.example", "mesh cert:spiffe://cluster/shop")
	for name, c := range map[string]struct {
		cert *x509.Certificate
		want string
	}{
		"none":        {nil, ""},
		"common name": {&x509.Certificate{Subject: pkix.Name{CommonName: "web.example"}}, "web"},
		"DNS name":    {&x509.Certificate{DNSNames: []string{"other", "web.example"}}, "web"},
		"URI":         {&x509.Certificate{URIs: []*url.URL{{Scheme: "spiffe", Host: "cluster", Path: "/shop"}}}, "mesh"},
		"unknown":     {&x509.Certificate{Subject: pkix.Name{CommonName: "web"}}, ""},
		"no name":     {&x509.Certificate{}, ""},
	} {
		got := ""
		if p := set.Certificate(c.cert); p != nil {
			got = p.Name
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for name, c := range map[string]struct {
		form Form
		text string
		want string
	}{
		"empty":              {Emitters, "# nothing\n", "at least one line such as NAME sha256:HEX"},
		"name":               {Emitters, "a/b " + sumOfA, "line 1: the name must be 1 to 64 letters"},
		"no credential":      {Emitters, "web emitters=a", "line 1: it must have a sha256:HEX"},
		"name twice":         {Emitters, "web " + sumOfA + "\nweb " + sumOfB, "line 2: the name must be on one line only"},
		"token twice":        {Emitters, "a " + sumOfA + "\nb " + sumOfA, "line 2: word 2: the token must be on one line only"},
		"certificate twice":  {Emitters, "a cert:x\nb cert:x", "cert:x must be on one line only"},
		"hash":               {Emitters, "\nweb sha256:secret", "line 2: word 2: behind sha256: there must be 64 hexadecimal digits"},
		"short hash":         {Emitters, "web " + sumOfA[:20], "64 hexadecimal digits"},
		"rate":               {Emitters, "web " + sumOfA + " rate=0", `word 3: rate="0" must be a positive number`},
		"infinite rate":      {Emitters, "web " + sumOfA + " rate=inf", "must be a positive number"},
		"patterns":           {Emitters, "web " + sumOfA + " emitters=a,,b", `emitters="a,,b" must be patterns`},
		"a bare token":       {Emitters, "web secret", "line 1: word 2: it must be one of those in NAME sha256:HEX|cert:NAME…"},
		"role in emitters":   {Emitters, "web read " + sumOfA, "word 2: it must be one of"},
		"no role":            {Admins, "bob secret " + sumOfA, "line 1: word 2: the role must be read, operate or register"},
		"a role and no more": {Admins, "bob read", "line 1: it must have a sha256:HEX"},
		"a token alone":      {Admins, "secret", "line 1: word 2: the role must be"},
		"tokens alone":       {Emitters, "secret\nsecret", "line 2: the name must be on one line only"},
		"a token for a name": {Admins, "secret read", "line 1: it must have a sha256:HEX"},
		"rate of an admin":   {Admins, "bob read " + sumOfA + " rate=1", "word 4: it must be one of those in NAME read|operate"},
		"empty certificate":  {Admins, "bob read cert:", "word 3: it must be one of"},
	} {
		_, err := Parse([]byte(c.text), c.form)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: what may be a token is shown: %v", name, err)
		}
	}
	if _, err := Parse([]byte(strings.Repeat("no name\n", 1000)), Emitters); err == nil || strings.Contains(err.Error(), "line 11") || !strings.Contains(err.Error(), "there may be more") {
		t.Errorf("errors of a file that is something else: %.1000v", err)
	}
	var many strings.Builder
	for i := range maxPrincipals + 1 {
		fmt.Fprintf(&many, "n%d cert:c%d\n", i, i)
	}
	if _, err := Parse([]byte(many.String()), Emitters); err == nil || !strings.Contains(err.Error(), "at most 10000 lines, and has 10001") {
		t.Errorf("%v", err)
	}
}

func TestSession(t *testing.T) {
	before := parse(t, Emitters, "web "+sumOfA+" "+sumOfB)
	after := parse(t, Emitters, "shop "+sumOfB)
	var s Session
	for _, c := range []struct {
		set   *Set
		token string
		want  string
	}{
		{before, "a", "web"}, {before, "a", "web"}, {before, "c", ""}, {before, "c", ""}, {before, "b", "web"}, {after, "a", ""}, {after, "b", "shop"},
	} {
		for _, session := range []*Session{&s, nil} {
			got := ""
			if p := session.Token(c.set, []byte(c.token)); p != nil {
				got = p.Name
			}
			if got != c.want {
				t.Fatalf("%q: %q, want %q", c.token, got, c.want)
			}
		}
	}
	token := []byte("b")
	if n := testing.AllocsPerRun(10, func() { s.Token(after, token) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBearer(t *testing.T) {
	for field, want := range map[string]string{
		"Bearer a": "a", "bearer a b": "a b", "BEARER x": "x", "": "", "Bearer": "", "Bearer ": "", "Basic a": "", "Bearera": "",
	} {
		token, ok := Bearer([]byte(field))
		if string(token) != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", field, token, ok)
		}
	}
}

func TestFailures(t *testing.T) {
	f, now := NewFailures(), time.Unix(1_700_000_000, 0)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::")
	for range failuresPerMinute {
		if _, ok := f.Add(a, now); !ok {
			t.Fatal("too few are allowed")
		}
	}
	wait, ok := f.Add(a, now)
	if ok || wait <= 0 || wait > time.Minute {
		t.Fatalf("one more: %v, %v", wait, ok)
	}
	if _, ok := f.Add(b, now); !ok {
		t.Error("another address has to wait")
	}
	if _, ok := f.Add(a, now.Add(wait)); !ok {
		t.Error("after the wait")
	}
}

func TestGenerate(t *testing.T) {
	token, word := Generate()
	other, _ := Generate()
	if len(token) != 43 || token == other {
		t.Fatalf("%d characters, twice the same: %v", len(token), token == other)
	}
	for role, form := range map[Role]Form{"": Emitters, Read: Admins, Operate: Admins} {
		line, err := Line("web", role, word)
		if err != nil {
			t.Fatal(err)
		}
		if p := parse(t, form, line).Token([]byte(token)); p == nil || p.Name != "web" || p.Role != role {
			t.Errorf("%s: %+v", line, p)
		}
	}
	if _, err := Line("a b", "", word); err == nil {
		t.Error("a name with a space")
	}
}

// FuzzParse parses files of any content. Of one that is accepted each credential is that of its line,
// and the error of any other shows no word of it that may be a token.
func FuzzParse(f *testing.F) {
	f.Add("# of the shop\n\n web "+sumOfA+" emitters=web-*,shop rate=1.5\r\nall cert:x "+sumOfB, false)
	f.Add("bob read "+sumOfA+" cert:bob\neve register cert:eve", true)
	f.Add("a-long-token-by-mistake-1 "+sumOfA[7:]+"\na-long-token-by-mistake-1 cert:\n\u00a0web\u2028cert:y", false)
	f.Fuzz(func(t *testing.T, text string, admins bool) {
		form := Emitters
		if admins {
			form = Admins
		}
		set, err := Parse([]byte(text), form)
		if err != nil {
			wantNoToken(t, text, err)
			return
		}
		for line := range strings.SplitSeq(text, "\n") {
			words := strings.Fields(line)
			if len(words) == 0 || words[0][0] == '#' {
				continue
			}
			for _, word := range words[1:] {
				kind, value, _ := strings.Cut(word, ":")
				principal := set.certificates[value]
				if sum, err := hex.DecodeString(value); kind == "sha256" && err == nil {
					principal = set.find(digest(sum))
				} else if kind != "cert" {
					continue
				}
				if principal == nil || principal.Name != words[0] || admins && string(principal.Role) != words[1] || principal.Rate < 0 {
					t.Fatalf("%q: %s is %+v", text, word, principal)
				}
			}
		}
	})
}

// wantNoToken checks an error. Names of certificates, rates and patterns are shown.
func wantNoToken(t *testing.T, text string, err error) {
	const short = 20 // the error has such words itself
	for _, word := range strings.Fields(text) {
		if len(word) > short && !strings.HasPrefix(word, "cert:") && !strings.HasPrefix(word, "rate=") && !strings.HasPrefix(word, "emitters=") && strings.Contains(err.Error(), word) {
			t.Fatalf("%q: %v", text, err)
		}
	}
}

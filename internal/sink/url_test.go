package sink

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, url := range []string{
		"http://analyzer-1:9001", "https://analyzer-1", "http://Logs_2.example.com./base", "http://a:1", "http://a:65535", "http://a:",
		"http://10.0.0.7:9003", "http://[::1]:2", "http://[fe80::1%25eth0]:2", "http://b:9002/x/y=z;v=1",
	} {
		endpoint, err := ParseURL(url)
		if err != nil || endpoint.Kind != Native || endpoint.String() != url {
			t.Errorf("%s: %v, %v", url, endpoint, err)
		}
	}
}

// A scheme names the kind of backend, whose options are the query.
func TestEndpoint(t *testing.T) {
	for _, kind := range Kinds() {
		for _, transport := range []string{"http", "https"} {
			text := kind + "+" + transport + "://one:1/base"
			got, err := ParseURL(text + "?a=1&b=x%2Cy&a=2")
			if err != nil || got.Kind != kind || got.Base.String() != transport+"://one:1/base" || got.String() != text ||
				strings.Join(got.Options["a"], " ") != "1 2" || got.Options.Get("b") != "x,y" || HasTLS(text) != (transport == "https") {
				t.Errorf("%s: %+v, %v", text, got, err)
			}
		}
	}
	for text, want := range map[string]string{"http://a": "a:80", "https://a": "a:443", "es+http://a": "a:80", "es+https://[::1]": "[::1]:443", "http://a:7": "a:7"} {
		if endpoint, err := ParseURL(text); err != nil || HostPort(endpoint.Base) != want {
			t.Errorf("%s: %v, %v", text, endpoint, err)
		}
	}
}

// The error names key, analyzer and rule.
func TestParseURLErrors(t *testing.T) {
	for url, rule := range map[string]string{
		"analyzer-1:9001":                "must look like http://host:port",
		"ftp://a":                        "must look like http://host:port",
		"loki+ftp://a":                   "other schemes are loki, es, vlogs, clickhouse, hec, each +http or +https",
		"redis+http://a":                 "must look like http://host:port",
		"+http://a":                      "is no URL",
		"es+http://a?x;y":                `"es+http://a" has options that are no query`,
		"es+http://a#x":                  "must have no query or fragment",
		"http://:9001":                   "must look like http://host:port",
		"http://u@a":                     `"http://xxxxx@a": an analyzer's URL must have no user or password`,
		"http://a/@x":                    "an @ in its path is written %40",
		"http://a?x":                     `"http://a" must have no query`,
		"http://a/b#x":                   `"http://a/b" must have no query or fragment`,
		"http://a:port":                  "is no URL",
		"http://a:65536":                 "the port must be 1 to 65535",
		"http://a:99999":                 "the port must be 1 to 65535",
		"http://a:0":                     "the port must be 1 to 65535",
		"http://a=0.5;b":                 `the host "a=0.5;b" must be an address, or a name of letters`,
		"http://a!b:9001":                "the host",
		"http://a b:9001":                "is no URL",
		"http://ä:9001":                  "the host",
		"http://a=0.5;http://b":          "is more than one URL: analyzers are separated by commas",
		"http://a:1=0.5 http://b:2":      "is more than one URL",
		"http://a:1/x=0.5;http://b:2/x":  "is more than one URL",
		"http://a:1/x=0.5\nhttp://b:2/x": "is more than one URL",
	} {
		_, err := ParseURL(url)
		if err == nil || !strings.HasPrefix(err.Error(), "ANALYZERS: ") || !strings.Contains(err.Error(), rule) {
			t.Errorf("%q: %v, want %q", url, err, rule)
		}
	}
}

// An error never contains a password.
func TestParseURLErrorsRedactSecrets(t *testing.T) {
	for _, url := range []string{
		"http://user:secret@a:9001", "http://secret@a", "https://user:secret@a:9001/base", "http://user:secret@", "http://user:secret@a:99999",
		"http://user:pa/secret@a", "http://user:12/secret@a", "http://user:pa?secret@a", "http://user:pa#secret@a", "http://user:secret@x@a",
		"http://user:%zzsecret@a", "http://user: secret@a", "http://[secret@a", "user:secret@a", "//user:secret@a", "ftp://user:secret@a",
		"http://user:secret://@a", "http://a?token=secret", "http://a/b?secret", "http://a#secret",
		"es+http://user:secret@a", "redis+http://a?token=secret", "es+http://a:0?token=secret", "es+http://a?token=secret;x", "ftp://a?secret", "es+http://a b?token=secret", "es+http://a:x?token=secret",
	} {
		if _, err := ParseURL(url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

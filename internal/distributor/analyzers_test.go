package distributor

import (
	"slices"
	"strings"
	"testing"
)

// The default id is the host's name if it is a unique name, otherwise the position. Ids are unique
// whatever the names of the hosts.
func TestIDs(t *testing.T) {
	for text, want := range map[string][]string{
		"http://analyzer-1:9001=.5,http://b.example.com:9002=.5":              {"analyzer-1", "b.example.com"},
		"http://localhost:1=.5,http://10.0.0.7:2=.3,http://[::1]:3=.2":        {"analyzer-1", "analyzer-2", "analyzer-3"},
		"http://LOCALHOST:1=.5,http://localhost.:2=.5":                        {"analyzer-1", "analyzer-2"},
		"http://B:1=.5,http://a:1=.5":                                         {"b", "a"},
		"http://twin:1=.5,http://b:1=.3,http://TWIN.:2=.2":                    {"analyzer-1", "b", "analyzer-3"},
		"http://analyzer-1:1=.5,http://analyzer-1:2=.5":                       {"analyzer-1", "analyzer-2"},
		"http://analyzer-2:1=.5,http://analyzer-2:2=.5":                       {"analyzer-1", "analyzer-2"},
		"http://analyzer-3:1=.5,http://analyzer-3:2=.3,http://localhost:1=.2": {"analyzer-1", "analyzer-2", "analyzer-3"},
		"http://analyzer-2:1=.5,http://localhost:1=.5":                        {"analyzer-2", "analyzer-2-at-2"},
		"http://localhost:1=.5,http://analyzer-1:1=.5":                        {"analyzer-1-at-1", "analyzer-1"},
		"http://analyzer-2-at-2:1=.5,http://localhost:1=.3,http://analyzer-2:1=.2": {
			"analyzer-2-at-2", "analyzer-2-at-2-at-2", "analyzer-2"},
	} {
		var targets Targets
		if err := targets.UnmarshalText([]byte(text)); err != nil {
			t.Error(err)
			continue
		}
		var got []string
		for _, target := range targets.WithIDs(nil) {
			got = append(got, target.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestValidateRefusesAnAnalyzerThatIsListedTwice(t *testing.T) {
	for _, second := range []string{
		"http://a", "http://a/", "http://A", "http://a.", "http://a:80", "http://a:080", "http://a:", "HTTP://a:80/",
	} {
		err := validateTwo(t, "http://a", second)
		if err == nil || !strings.HasPrefix(err.Error(), "ANALYZERS: ") || !strings.Contains(err.Error(), "listed twice, as analyzer 1 and 2") {
			t.Errorf("%s: %v", second, err)
		}
	}
	for _, pair := range [][2]string{
		{"http://[::1]:1", "http://[0:0:0:0:0:0:0:1]:1"}, {"http://10.0.0.7:1", "http://[::ffff:10.0.0.7]:1"}, {"https://a", "https://a:443"},
		{"http://a/b", "http://a/b/"},
	} {
		if err := validateTwo(t, pair[0], pair[1]); err == nil {
			t.Errorf("%v are taken for two", pair)
		}
	}
	for _, pair := range [][2]string{
		{"http://a", "http://a:81"}, {"http://a:443", "https://a"}, {"http://a/b", "http://a/B"}, {"http://a", "http://a/b"}, {"http://a/b", "http://a/b%2F"},
	} {
		if err := validateTwo(t, pair[0], pair[1]); err != nil {
			t.Error(err)
		}
	}
}

func validateTwo(t *testing.T, one, two string) error {
	t.Helper()
	var targets Targets
	if err := targets.UnmarshalText([]byte(one + "=0.5," + two + "=0.5")); err != nil {
		t.Fatal(err)
	}
	return quick(t, targets...).Validate()
}

// The error about a list with a password does not show the password, wherever the list is split
// into analyzers.
func TestTargetsShowNoSecret(t *testing.T) {
	for _, text := range []string{
		"http://user:secret@a=1", "http://user:secret@a", "http://a=1,http://user:secret@b=x", "http://user:se,secret@a=1", "http://user:se=secret@a",
		"user:secret@a=1", "http://user:secret@a=1,http://user:secret@b=1",
	} {
		var targets Targets
		err := targets.UnmarshalText([]byte(text))
		if err == nil {
			err = quick(t, targets...).Validate()
		}
		if err == nil || strings.Contains(err.Error()+targets.String(), "secret") || !strings.Contains(err.Error(), "no user or password") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

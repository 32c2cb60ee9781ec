package control

import (
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/config"
)

// A token that no header field can have is refused, and the error does not show it.
func TestToken(t *testing.T) {
	for token, ok := range map[string]bool{
		"": true, "s3cret": true, "s3cret-s3cret-12": true, "s3cret s3cret s3cret": false, "s3cret-s3cret-12\n": false,
	} {
		loader := config.New(DefaultConfig(), func(name string) (string, bool) {
			return map[string]string{"ADMIN_TOKEN": token, "ANALYZERS": "http://one:1=1"}[name], name == "ADMIN_TOKEN" && token != "" || name == "ANALYZERS"
		})
		_, err := loader.Load()
		if (err == nil) != ok || err != nil && (!strings.Contains(err.Error(), "characters without spaces") || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

// A token of less than 16 characters is reported, and not shown, where something uses it.
func TestShortToken(t *testing.T) {
	for _, c := range []struct {
		addr, token string
		reported    bool
	}{
		{"0.0.0.0:1", "s3cret", true}, {"127.0.0.1:1", "s3cret-s3cret-1", true}, {"127.0.0.1:1", "s3cret-s3cret-12", false}, {"127.0.0.1:1", "", false}, {Off, "s3cret", false},
	} {
		text := AdminConfig{Addr: c.addr, Token: c.token}.ShortToken()
		if (text != "") != c.reported || c.reported && !strings.Contains(text, "less than 16 characters") || strings.Contains(text, "s3cret") {
			t.Errorf("%+v: %q", c, text)
		}
	}
}

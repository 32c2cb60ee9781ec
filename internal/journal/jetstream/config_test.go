package jetstream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/natslink"
)

func TestValidate(t *testing.T) {
	good := DefaultConfig()
	good.Servers = "nats://a:4222, tls://b:4222"
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Config){
		"NATS_URL is required":                  func(c *Config) { c.Servers = " , " },
		`NATS_URL has "http://a"`:               func(c *Config) { c.Servers = "http://a" },
		`NATS_MONITOR_URL has "nats://a"`:       func(c *Config) { c.Monitor = "nats://a" },
		"JETSTREAM_STREAM is \"a.b\"":           func(c *Config) { c.Stream = "a.b" },
		"JETSTREAM_REPLICAS is 2":               func(c *Config) { c.Replicas = 2 },
		"a certificate and its key go together": func(c *Config) { c.Cert = "x" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

// No output shows passwords of URLs.
func TestServersHidePasswords(t *testing.T) {
	s := natslink.Servers("nats://me:secret@a:4222,nats://b:4222")
	if got := fmt.Sprint(s); got != "xxxxx@a:4222,nats://b:4222" {
		t.Error(got)
	}
	c := DefaultConfig()
	c.Servers = "http://me:secret@a"
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	c.Servers = "nats://me:sec,ret@a:4222"
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), "sec,") || strings.Contains(err.Error(), ":sec") || !strings.Contains(err.Error(), "%2C") {
		t.Error(err)
	}
	if got := (Config{Config: natslink.Config{Servers: s}}).monitors(); len(got) != 2 || got[0] != "http://a:8222" {
		t.Errorf("%q", got)
	}
}

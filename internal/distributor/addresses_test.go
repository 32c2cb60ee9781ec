package distributor

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestValidateRejectsConflictingAddresses(t *testing.T) {
	for _, c := range []struct {
		ingest, metrics string
		collide         bool
	}{
		{":8080", ":8080", true},
		{":8080", "127.0.0.1:8080", true},
		{":8080", "0.0.0.0:8080", true},
		{":8080", "[::]:8080", true},
		{":8080", "[::1]:08080", true},
		{"127.0.0.1:8080", ":8080", true},
		{"127.0.0.1:8080", "[::]:8080", true},
		{"127.0.0.1:8080", "localhost:8080", true},
		{"127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", true},
		{"Ingest.example:8080", "ingest.example:8080", true},
		{"0.0.0.0:8080", "[::1]:8080", true},
		{":8080", ":9100", false},
		{":0", ":0", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{"127.0.0.1:8080", "127.0.0.2:8080", false},
		{"127.0.0.1:8080", "[::1]:8080", false},
		{"10.0.0.7:8080", "localhost:8080", false},
	} {
		config := quick(t, Target{ID: "a", URL: "http://a", Weight: 1})
		host, port, _ := net.SplitHostPort(c.ingest)
		config.Host, config.MetricsListen = host, c.metrics
		config.Port, _ = strconv.Atoi(port)
		err := config.Validate()
		if c.collide != (err != nil) {
			t.Errorf("%s and %s: %v", c.ingest, c.metrics, err)
		}
		if err != nil && !(strings.Contains(err.Error(), "METRICS_ADDR is ") && strings.Contains(err.Error(), "PORT is ")) {
			t.Errorf("%s and %s: %v does not name both keys", c.ingest, c.metrics, err)
		}
	}
}

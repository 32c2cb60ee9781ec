package programs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// telegraf returns Telegraf with an output, in which HOST, PORT and DIR are replaced. Message
// and host are its names of the field and the tag with the lines' message and host.
func telegraf(input, message, host, output string) agent {
	return agent{
		input: input,
		start: func(t *testing.T, dir, to, port string) {
			t.Helper()
			text := fmt.Sprintf(`[global_tags]
job = "shop"
[agent]
interval = "200ms"
flush_interval = "200ms"
metric_batch_size = 50
metric_buffer_limit = 100000
omit_hostname = true
[[inputs.tail]]
files = ["%s/*.log"]
initial_read_offset = "beginning"
data_format = "json_v2"
path_tag = ""
[[inputs.tail.json_v2]]
measurement_name = "log"
timestamp_path = "time"
timestamp_format = "2006-01-02T15:04:05.999999Z07:00"
[[inputs.tail.json_v2.tag]]
path = "level"
[[inputs.tail.json_v2.tag]]
path = "host"
rename = %q
[[inputs.tail.json_v2.field]]
path = "message"
rename = %q
%s
`, dir, host, message, strings.NewReplacer("HOST", to, "PORT", port, "DIR", dir).Replace(output))
			config := filepath.Join(dir, "telegraf.conf")
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			start(t, program(t, "TELEGRAF"), "--config", config)
		},
	}
}

var telegrafs = map[string]agent{
	"loki": telegraf("loki", "message", "host", "[[outputs.loki]]\ndomain = \"http://HOST:PORT\"").with(func(a *agent) {
		a.emitter = always("shop/web-1")
		a.text = func(n int) string { return fmt.Sprintf(`message="m-%d" `, n) }
	}),
	"syslog TCP": telegraf("syslog-tcp", "msg", "hostname", "[[outputs.syslog]]\naddress = \"tcp://HOST:PORT\"\ndefault_severity_code = 3").
		with(ofHost).with(unacknowledged).with(func(a *agent) { a.seconds = true }),
}

// Telegraf delivers each line once in each disturbance; its syslog output may lose lines when the
// distributor is killed.
func TestTelegraf(t *testing.T) {
	program(t, "TELEGRAF")
	for name, a := range telegrafs {
		a.runAll(t, name)
	}
}

package programs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fluentd returns Fluentd with a filter, or none, and an output in which HOST, PORT and DIR are
// replaced.
func fluentd(input, filter, output string) agent {
	return agent{
		input: input,
		start: func(t *testing.T, dir, host, port string) {
			t.Helper()
			var text strings.Builder
			text.WriteString("<system>\n  log_level warn\n</system>\n")
			for n := range followed {
				fmt.Fprintf(&text, `<source>
  @type tail
  path %[1]s/%[2]d.log
  pos_file %[1]s/%[2]d.pos
  tag app.%[2]d
  read_from_head true
  <parse>
    @type json
    time_type string
    time_format %%Y-%%m-%%dT%%H:%%M:%%S.%%N%%z
  </parse>
</source>
`, dir, n)
			}
			text.WriteString(filter)
			fmt.Fprintf(&text, `<match app.**>
%s
  <buffer tag>
    flush_interval 0.2s
    flush_thread_count 4
    retry_wait 0.2s
    retry_max_interval 1s
    retry_forever true
  </buffer>
</match>
`, strings.NewReplacer("HOST", host, "PORT", port, "DIR", dir).Replace(output))
			config := filepath.Join(dir, "config")
			if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			start(t, program(t, "FLUENTD"), "--no-supervisor", "-c", config)
		},
	}
}

// settings of Fluentd's outputs.
const (
	fluentdForward = `  @type forward
  <server>
    host HOST
    port PORT
  </server>
`
	fluentdAcknowledged = fluentdForward + "  require_ack_response true\n"
	// fluentdTimestamp sets the time, which the http output does not send itself.
	fluentdTimestamp = `<filter app.**>
  @type record_transformer
  enable_ruby true
  <record>
    timestamp ${(time.to_r * 1000).to_i}
  </record>
</filter>
`
	fluentdHTTP = `  @type http
  endpoint http://HOST:PORT/api/v2/logs
  json_array true
  <format>
    @type json
  </format>`
)

var fluentds = map[string]agent{
	"forward":                fluentd("forward", "", fluentdAcknowledged).with(tagged),
	"forward gzip":           fluentd("forward", "", fluentdAcknowledged+"  compress gzip").with(tagged),
	"forward unacknowledged": fluentd("forward", "", fluentdForward).with(tagged).with(unacknowledged),
	"forward shared key": fluentd("forward", "", fluentdAcknowledged+"  <security>\n    self_hostname web-1\n    shared_key secret\n  </security>").
		with(tagged).with(func(a *agent) { a.env = []string{"FORWARD_SHARED_KEY=secret"} }),
	"forward TLS": fluentd("forward", "", strings.Replace(fluentdAcknowledged, "    host", "    name distributor\n    host", 1)+
		"  transport tls\n  tls_cert_path DIR/ca.crt").with(tagged).with(func(a *agent) { a.tls = true }),
	"http": fluentd("http", fluentdTimestamp, fluentdHTTP).with(ofHost),
}

// Fluentd delivers each record once in each disturbance; outputs without acknowledgement may lose
// records when the distributor is killed.
func TestFluentd(t *testing.T) {
	program(t, "FLUENTD")
	for name, a := range fluentds {
		a.runAll(t, name)
	}
}

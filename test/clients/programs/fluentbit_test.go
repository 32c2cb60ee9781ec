package programs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fluentBit returns Fluent Bit with an output, in which HOST, PORT and DIR are replaced.
func fluentBit(input, output string) agent {
	return agent{
		input: input, emitter: always("shop/web-1"),
		start: func(t *testing.T, dir, host, port string) {
			t.Helper()
			output := strings.NewReplacer("HOST", host, "PORT", port, "DIR", dir).Replace(output)
			config := filepath.Join(dir, "config.yaml")
			text := fmt.Sprintf(`service:
  flush: 0.2
  log_level: warn
  scheduler.base: 1
  scheduler.cap: 2
parsers:
  - {name: lines, format: json, time_key: time, time_format: "%%Y-%%m-%%dT%%H:%%M:%%S.%%L%%z"}
pipeline:
  inputs:
    - {name: tail, path: "%s/*.log", tag: app.<file>, tag_regex: '(?<file>[^/]+)\.log$', parser: lines, read_from_head: true}
  outputs:
    - match: "*"
      host: %s
      port: %s
      retry_limit: no_limits
%s
`, dir, host, port, output)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			start(t, program(t, "FLUENT_BIT"), "-c", config)
		},
	}
}

// with returns the agent after a change.
func (a agent) with(change func(*agent)) agent {
	change(&a)
	return a
}

func tagged(a *agent) { a.emitter = func(file int) string { return fmt.Sprintf("app.%d/web-1", file) } }

func unacknowledged(a *agent) { a.unacknowledged = true }

// ofHost means that the emitter is the host alone, since no field names the service.
func ofHost(a *agent) { a.emitter = always("web-1") }

// settings of Fluent Bit's outputs.
const (
	gzipped      = "\n      compress: gzip"
	acknowledged = `
      name: forward
      require_ack_response: true`
	lokiOutput = `
      name: loki
      labels: job=shop
      label_keys: $level,$host
      drop_single_key: raw`
	esOutput = `
      name: es
      index: shop
      suppress_type_name: true`
	otlpOutput = `
      name: opentelemetry
      logs_body_key: $message
      logs_body_key_attributes: true
      logs_severity_text_message_key: $level
      processors:
        logs:
          - {name: opentelemetry_envelope}
          - {name: content_modifier, context: otel_resource_attributes, action: upsert, key: service.name, value: shop}
          - {name: content_modifier, context: otel_resource_attributes, action: upsert, key: host.name, value: web-1}`
	hecOutput = `
      name: splunk
      splunk_token: token
      event_sourcetype: shop
      event_host: $host`
	datadogOutput = `
      name: datadog
      apikey: key
      dd_service: shop
      dd_message_key: message`
	gelfOutput = `
      gelf_short_message_key: message
      gelf_host_key: host
      gelf_level_key: level
      name: `
	syslogOutput = `
      name: syslog
      syslog_hostname_key: host
      syslog_severity_key: level
      syslog_message_key: message
      syslog_appname_preset: shop
      mode: `
)

// syslogged has the names of levels that Fluent Bit's syslog output accepts.
func syslogged(a *agent) {
	ofHost(a)
	unacknowledged(a)
	a.level = "err"
}

func datagrams(a *agent) { a.datagrams = true }

var fluentBits = map[string]agent{
	"forward":                fluentBit("forward", acknowledged).with(tagged),
	"forward gzip":           fluentBit("forward", acknowledged+gzipped).with(tagged),
	"forward shared key":     fluentBit("forward", acknowledged+"\n      shared_key: secret\n      self_hostname: web-1").with(tagged).with(func(a *agent) { a.env = []string{"FORWARD_SHARED_KEY=secret"} }),
	"forward TLS":            fluentBit("forward", acknowledged+"\n      tls: on\n      tls.verify: on\n      tls.ca_file: DIR/ca.crt").with(tagged).with(func(a *agent) { a.tls = true }),
	"forward unacknowledged": fluentBit("forward", "\n      name: forward").with(tagged).with(unacknowledged),
	"forward seconds":        fluentBit("forward", acknowledged+"\n      time_as_integer: true").with(tagged).with(func(a *agent) { a.seconds = true }),

	"loki":      fluentBit("loki", lokiOutput),
	"loki gzip": fluentBit("loki", lokiOutput+gzipped),
	"loki JSON lines": fluentBit("loki", "\n      name: loki\n      labels: job=shop\n      structured_metadata: host=$host").with(func(a *agent) {
		a.text = func(n int) string { return fmt.Sprintf(`{"level":"error","message":"m-%d"}`, n) }
		a.emitter = always("shop")
	}),

	"es":                 fluentBit("elasticsearch", esOutput),
	"es gzip":            fluentBit("elasticsearch", esOutput+gzipped),
	"es ids":             fluentBit("elasticsearch", esOutput+"\n      generate_id: true"),
	"es types":           fluentBit("elasticsearch", "\n      name: es\n      logstash_format: true\n      logstash_prefix: shop\n      logstash_dateformat: logs\n      include_tag_key: true").with(func(a *agent) { a.emitter = always("shop-logs/web-1") }),
	"opentelemetry":      fluentBit("otlp-http", otlpOutput),
	"opentelemetry gzip": fluentBit("otlp-http", otlpOutput+gzipped),
	"opentelemetry gRPC": fluentBit("otlp-grpc", "\n      grpc: on\n      net.keepalive: off"+otlpOutput),

	"splunk":       fluentBit("hec", hecOutput),
	"splunk gzip":  fluentBit("hec", hecOutput+gzipped),
	"datadog":      fluentBit("http", datadogOutput+"\n      tls: off"),
	"datadog gzip": fluentBit("http", datadogOutput+"\n      tls: off"+gzipped),
	"http Datadog": fluentBit("http", "\n      name: http\n      uri: /api/v2/logs\n      format: json").with(ofHost),
	"http GELF":    fluentBit("http", gelfOutput+"http\n      uri: /gelf\n      format: gelf").with(ofHost),

	"gelf TCP":        fluentBit("gelf-tcp", gelfOutput+"gelf\n      mode: tcp").with(ofHost).with(unacknowledged),
	"gelf UDP":        fluentBit("gelf-udp", gelfOutput+"gelf\n      mode: udp").with(ofHost).with(datagrams),
	"syslog TCP":      fluentBit("syslog-tcp", syslogOutput+"tcp").with(syslogged),
	"syslog RFC 3164": fluentBit("syslog-tcp", syslogOutput+"tcp\n      syslog_format: rfc3164").with(syslogged).with(func(a *agent) { a.seconds = true }),
	"syslog UDP":      fluentBit("syslog-udp", syslogOutput+"udp").with(syslogged).with(datagrams),
	"syslog TLS":      fluentBit("syslog-tls", syslogOutput+"tls\n      tls: on\n      tls.verify: on\n      tls.ca_file: DIR/ca.crt").with(syslogged).with(func(a *agent) { a.tls = true }),
}

// Each output of Fluent Bit delivers each record once in each disturbance; outputs without
// acknowledgement may lose records when the distributor is killed.
func TestFluentBit(t *testing.T) {
	program(t, "FLUENT_BIT")
	for name, a := range fluentBits {
		a.runAll(t, name)
	}
}

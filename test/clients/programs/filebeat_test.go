package programs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filebeat returns Filebeat with further processors, or none, and with an index, or else with the setup
// of a template and a policy as by default.
func filebeat(processors, index string) agent {
	if index != "" {
		index = "index: " + index + "\nsetup: {template.enabled: false, ilm.enabled: false}"
	}
	return agent{
		input: "elasticsearch", emitter: always("shop/web-1"),
		start: func(t *testing.T, dir, host, port string) {
			t.Helper()
			text := strings.NewReplacer("HOST", host, "PORT", port, "DIR", dir, "PROCESSORS", processors, "INDEX", index).Replace(`path.home: DIR/home
filebeat.registry.flush: 100ms
filebeat.inputs:
  - type: filestream
    id: app
    paths: ["DIR/*.log"]
    prospector.scanner.check_interval: 1s
    parsers:
      - ndjson: {target: app, message_key: message}
processors:
  - timestamp: {field: app.time, layouts: ["2006-01-02T15:04:05.999999Z07:00"]}
  - drop_fields: {fields: [host, message], ignore_missing: true}
  - rename:
      fields: [{from: app.message, to: message}, {from: app.level, to: log.level}, {from: app.host, to: host.name}]
  - add_fields: {target: service, fields: {name: shop}}
PROCESSORS
output.elasticsearch:
  hosts: ["http://HOST:PORT"]
  bulk_max_size: 50
  backoff: {init: 200ms, max: 1s}
  INDEX
logging: {to_stderr: true, level: warning}
`)
			config := filepath.Join(dir, "filebeat.yml")
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			start(t, program(t, "FILEBEAT"), "-c", config, "-strict.perms=false")
		},
	}
}

// Filebeat delivers each line once in each disturbance, with ids of documents and without.
func TestFilebeat(t *testing.T) {
	program(t, "FILEBEAT")
	filebeat("", "").runAll(t, "plain")
	filebeat("  - add_id: {}", "logs").runAll(t, "ids")
}

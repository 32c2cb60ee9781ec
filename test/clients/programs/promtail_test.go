package programs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// promtail is Promtail, which has host and level as labels.
var promtail = agent{
	input: "loki", emitter: always("shop/web-1"),
	start: func(t *testing.T, dir, host, port string) {
		t.Helper()
		own := addresses(t, 2)
		_, httpPort, _ := strings.Cut(own[0], ":")
		_, grpcPort, _ := strings.Cut(own[1], ":")
		text := strings.NewReplacer("HOST", host, "PORT", port, "DIR", dir, "HTTP", httpPort, "GRPC", grpcPort).Replace(
			`server: {http_listen_address: 127.0.0.1, http_listen_port: HTTP, grpc_listen_address: 127.0.0.1, grpc_listen_port: GRPC, log_level: warn}
positions: {filename: DIR/positions.yaml, sync_period: 100ms}
clients:
  - url: http://HOST:PORT/loki/api/v1/push
    batchwait: 200ms
    batchsize: 4096
    backoff_config: {min_period: 200ms, max_period: 1s, max_retries: 0}
scrape_configs:
  - job_name: app
    pipeline_stages:
      - json: {expressions: {time: time, level: level, host: host, message: message}}
      - timestamp: {source: time, format: "2006-01-02T15:04:05.999999Z07:00"}
      - labels: {level: level, host: host}
      - output: {source: message}
    static_configs: [{targets: [localhost], labels: {job: shop, __path__: "DIR/*.log"}}]
`)
		config := filepath.Join(dir, "promtail.yml")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		start(t, program(t, "PROMTAIL"), "-config.file="+config)
	},
}

// Promtail delivers each line once in each disturbance.
func TestPromtail(t *testing.T) {
	program(t, "PROMTAIL")
	promtail.runAll(t, "promtail")
}

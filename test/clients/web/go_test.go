package web

import (
	"testing"
	"time"

	lokiclient "github.com/grafana/loki-client-go/loki"
	"github.com/prometheus/common/model"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

func TestLokiClientGo(t *testing.T) {
	t.Run("usual", func(t *testing.T) { testLokiClientGo(t, harness.Start(t, []string{"loki"})) })
	t.Run("full", func(t *testing.T) {
		d := harness.Start(t, []string{"loki"}, full...)
		fill(d)
		resumeLater(d)
		testLokiClientGo(t, d)
	})
}

func testLokiClientGo(t *testing.T, d *harness.Distributor) {
	config, err := lokiclient.NewDefaultConfig("http://" + d.Addresses["loki"] + "/loki/api/v1/push")
	if err != nil {
		t.Fatal(err)
	}
	config.BatchWait, config.BatchSize = 50*time.Millisecond, 16<<10
	client, err := lokiclient.New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Stop()
	started := time.Now()
	labels := model.LabelSet{"service_name": "shop", "pod": "shop-1", "level": "warn"}
	for _, text := range texts() {
		if err := client.Handle(labels, time.Now(), text); err != nil {
			t.Fatal(err)
		}
	}
	d.Analyzer.AwaitOnce(t, "message ", texts())
	check(t, d, "shop/shop-1", "WARN", started)
}

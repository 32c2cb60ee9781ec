// Command lokiclient sends numbered lines with loki-client-go: lokiclient URL TIME COUNT. The
// line n is m-n, of the time TIME+n in milliseconds. It prints "half" in the middle.
//
// It is a module of its own because the client needs old versions of many modules.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/grafana/loki-client-go/loki"
	"github.com/prometheus/common/model"
)

// requestBytes is the size of the lines of a request, of some fifty lines.
const requestBytes = 300

func main() {
	if err := run(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "lokiclient:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 4 {
		return fmt.Errorf("usage: lokiclient URL TIME COUNT")
	}
	start, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(os.Args[3])
	if err != nil {
		return err
	}
	config, err := loki.NewDefaultConfig(os.Args[1] + "/loki/api/v1/push")
	if err != nil {
		return err
	}
	config.BatchSize = requestBytes
	config.BackoffConfig.MinBackoff, config.BackoffConfig.MaxBackoff, config.BackoffConfig.MaxRetries = 100*time.Millisecond, time.Second, 100
	client, err := loki.New(config)
	if err != nil {
		return err
	}
	defer client.Stop() // sends what remains
	labels := model.LabelSet{"service_name": "shop", "host": "web-1", "level": "error"}
	for n := range count {
		if n == count/2 {
			fmt.Println("half")
		}
		if n%20 == 19 { // requests are under way when the distributor is killed
			time.Sleep(20 * time.Millisecond)
		}
		if err := client.Handle(labels, time.UnixMilli(start+int64(n)), fmt.Sprint("m-", n)); err != nil {
			return err
		}
	}
	return nil
}

// Command bulkindexer sends numbered documents with the bulk indexer of Elasticsearch's client
// for Go: bulkindexer URL TIME COUNT. The document n is m-n, of the time TIME+n in milliseconds.
// It prints "half" in the middle, and how many documents failed at the end.
//
// It is a module of its own because the client takes minutes to build.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/esutil"
)

// requestBytes is the size of a request, of some fifty documents.
const requestBytes = 8 << 10

func main() {
	if err := run(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bulkindexer:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 4 {
		return fmt.Errorf("usage: bulkindexer URL TIME COUNT")
	}
	start, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(os.Args[3])
	if err != nil {
		return err
	}
	indexer, err := newIndexer(os.Args[1])
	if err != nil {
		return err
	}
	ctx := context.Background()
	for n := range count {
		if n == count/2 {
			fmt.Println("half")
		}
		if n%20 == 19 { // requests are under way when the distributor is killed
			time.Sleep(20 * time.Millisecond)
		}
		document := fmt.Sprintf(`{"@timestamp":%q,"message":"m-%d","log":{"level":"error"},"service":{"name":"shop"},"host":{"name":"web-1"}}`,
			time.UnixMilli(start+int64(n)).UTC().Format(time.RFC3339Nano), n)
		if err := indexer.Add(ctx, esutil.BulkIndexerItem{Action: "create", Body: strings.NewReader(document)}); err != nil {
			return err
		}
	}
	if err := indexer.Close(ctx); err != nil {
		return err
	}
	stats := indexer.Stats()
	fmt.Printf("%d created, %d failed\n", stats.NumCreated, stats.NumFailed)
	return nil
}

// newIndexer returns the bulk indexer of a client that sends again after 429, too, which the
// client does not do by default.
func newIndexer(url string) (esutil.BulkIndexer, error) {
	client, err := elasticsearch.NewClient(elasticsearch.Config{
		Addresses: []string{url}, RetryOnStatus: []int{429, 502, 503, 504}, MaxRetries: 100,
		RetryBackoff: func(int) time.Duration { return 200 * time.Millisecond },
	})
	if err != nil {
		return nil, err
	}
	return esutil.NewBulkIndexer(esutil.BulkIndexerConfig{
		Client: client, Index: "logs", NumWorkers: 1, FlushBytes: requestBytes, FlushInterval: time.Hour,
		OnError: func(_ context.Context, err error) { _, _ = fmt.Fprintln(os.Stderr, "bulkindexer:", err) },
	})
}

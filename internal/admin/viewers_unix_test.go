//go:build unix

package admin

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/history"
)

// BenchmarkViewers reports the processor time that pages of the console cost, with 50 analyzers, in
// percent of a core, by the number of pages. The processor time includes reading the streams, since
// the readers run in the same process. An operation is a second: run it with -benchtime 20x.
func BenchmarkViewers(b *testing.B) {
	const analyzers = 50
	s := startSystem(b, "health_check_interval_sec: 3600\n") // probes at the default interval would cost more than the viewers
	for i := len(s.analyzers); i < analyzers; i++ {
		s.want(201, "", "POST", "/v1/analyzers", fmt.Sprintf(`{"id":"more-%d","url":%q,"weight":0.02}`, i, analyzertest.New(b).URL()))
	}
	for _, viewers := range []int{1, 10, history.MaxViewers} {
		b.Run(fmt.Sprintf("viewers=%d", viewers), func(b *testing.B) { measureViewers(b, s.url, viewers) })
	}
}

func measureViewers(b *testing.B, url string, viewers int) {
	client := &http.Client{Transport: new(http.Transport)} // the plain client does not compare answers with the API's description
	defer client.CloseIdleConnections()
	alone := processorTime(b.N, func() {})
	var streams []*bufio.Scanner
	for range viewers {
		stream := get(b, client, url+"/v1/stream?overview=true")
		defer stream.Close()
		streams = append(streams, bufio.NewScanner(stream))
		streams[len(streams)-1].Buffer(nil, 1<<20)
	}
	with := processorTime(b.N, func() {
		for _, stream := range streams {
			for stream.Scan() && string(stream.Bytes()) != "event: snapshot" {
			}
		}
	})
	b.ReportMetric(100*(with-alone).Seconds()/float64(b.N), "%core")
	b.ReportMetric(0, "ns/op")
}

func get(b *testing.B, client *http.Client, url string) io.ReadCloser {
	response, err := client.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	return response.Body
}

// processorTime returns the processor time that the process takes while each runs once a second.
func processorTime(seconds int, each func()) time.Duration {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	before := usage()
	for range seconds {
		<-ticker.C
		each()
	}
	return usage() - before
}

func usage() time.Duration {
	var of syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &of)
	return time.Duration(of.Utime.Nano() + of.Stime.Nano())
}

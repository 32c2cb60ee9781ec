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
)

// BenchmarkViewers reports the processor time that ten pages of the console cost, with 50
// analyzers, in percent of a core. What it takes to read the streams is included, since the readers are in the
// same process. An operation is a second: run it with -benchtime 20x.
func BenchmarkViewers(b *testing.B) {
	const analyzers, viewers = 50, 10
	s := startSystem(b, "")
	for i := len(s.analyzers); i < analyzers; i++ {
		s.want(201, "", "POST", "/v1/analyzers", fmt.Sprintf(`{"id":"more-%d","url":%q,"weight":0.02}`, i, analyzertest.New(b).URL()))
	}
	client := &http.Client{Transport: new(http.Transport)} // which does not compare answers with the API's description
	alone := processorTime(b.N, func() {})
	var streams []*bufio.Scanner
	for range viewers {
		stream := get(b, client, s.url+"/v1/stream?overview=true")
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

// processorTime returns what the process takes while each runs once a second.
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

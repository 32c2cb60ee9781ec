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
// analyzers, in percent of a core. That of the pages is included, since they are in the same
// process. An operation is a second: run it with -benchtime 20x.
func BenchmarkViewers(b *testing.B) {
	const analyzers, viewers, readEvery = 50, 10, 5
	s := startSystem(b, "")
	for i := len(s.analyzers); i < analyzers; i++ {
		s.want(201, "", "POST", "/v1/analyzers", fmt.Sprintf(`{"id":"more-%d","url":%q,"weight":0.02}`, i, analyzertest.New(b).URL()))
	}
	client := &http.Client{Transport: new(http.Transport)} // which does not compare answers with the API's description
	alone := processorTime(b.N, func(int) {})
	var streams []*bufio.Scanner
	for range viewers {
		stream := get(b, client, s.url+"/v1/stream")
		defer stream.Close()
		streams = append(streams, bufio.NewScanner(stream))
		streams[len(streams)-1].Buffer(nil, 1<<20)
	}
	with := processorTime(b.N, func(second int) {
		for i, stream := range streams {
			for stream.Scan() && len(stream.Bytes()) > 0 { // an event ends with an empty line
			}
			if (second+i)%readEvery != 0 {
				continue
			}
			for _, path := range []string{"/v1/status", "/v1/analyzers", "/v1/backlog?top=10", "/v1/events?after=1000000"} {
				body := get(b, client, s.url+path)
				_, _ = io.Copy(io.Discard, body)
				_ = body.Close()
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
func processorTime(seconds int, each func(second int)) time.Duration {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	before := usage()
	for second := range seconds {
		<-ticker.C
		each(second)
	}
	return usage() - before
}

func usage() time.Duration {
	var of syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &of)
	return time.Duration(of.Utime.Nano() + of.Stime.Nano())
}

//go:build linux

// Package cluster tests several distributors that share the streams of real NATS servers
// (JOURNAL=jetstream), under faults: processes are killed, stopped and restarted under load, and
// the responses to emitters are compared with the packets that analyzers took. The quick run takes
// less than a minute; -judge repeats the faults for longer and judges times.
//
//	go test ./test/cluster -judge -count 1 -v -timeout 40m
package cluster

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/logstreamer/logstreamer/test/binary"
)

var judge = flag.Bool("judge", false, "repeat the faults, take outages' full length, and judge times")

// programVariable names the binary, for tests that run themselves in a separate network namespace.
const programVariable = "LOGSTREAMER_CLUSTER_TEST_PROGRAM"

// program is the logstreamer binary.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if addresses := os.Getenv(recorderVariable); addresses != "" {
		if err := record(addresses, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	flag.Parse()
	if program = os.Getenv(programVariable); program != "" { // in a network of its own
		return m.Run()
	}
	// Rows mostly wait, so they run in parallel, except when times are judged.
	parallel := "6"
	if *judge {
		parallel = "1"
	}
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return binary.Main(m, &program)
}

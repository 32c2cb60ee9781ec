//go:build linux

// Package operate tests changes of a running distributor with real processes: upgrades,
// during which emitters keep their connections and no packet is lost or refused, and changes
// through the admin API, which survive a kill. The quick run takes about a minute; -judge makes
// as many changes, kills and rotations as the contract's judge.
//
//	go test ./test/operate -judge -count 1 -v -timeout 40m
package operate

import (
	"flag"
	"os"
	"testing"

	"github.com/logstreamer/logstreamer/test/binary"
)

var judge = flag.Bool("judge", false, "make as many changes, kills and rotations as the contract's judge")

// times returns the number of repetitions: the judge's number, or a few.
func times(quick, judged int) int {
	if *judge {
		return judged
	}
	return quick
}

// program is the logstreamer binary.
var program string

func TestMain(m *testing.M) { os.Exit(binary.Main(m, &program)) }

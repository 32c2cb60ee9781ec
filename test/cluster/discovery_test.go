//go:build linux

package cluster

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/discovery/dnstest"
	"github.com/logstreamer/logstreamer/test/ports"
)

// The addresses of a group of analyzers come and go every second. DNS is queried every five
// seconds, and an empty response changes nothing.
func TestAddressesChange(t *testing.T) {
	t.Parallel()
	free, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	const analyzers = 3
	var members []*analyzertest.Analyzer
	var records []string
	for i := range analyzers {
		host := fmt.Sprintf("127.0.0.%d", i+2)
		a := analyzertest.NewAt(t, net.JoinHostPort(host, strconv.Itoa(free[0])))
		members, records = append(members, a), append(records, "1 IN A "+host)
	}
	names := dnstest.New(t)
	names.Set("analyzers.test.", records[0])
	y := newSystem(t, setup{servers: 1, distributors: 2, environment: []string{
		fmt.Sprintf("ANALYZERS=dns+http://analyzers.test:%d=1", free[0]), "DISCOVERY_DNS=" + names.Address,
	}})
	y.analyzers = members
	for second := range 16 * rounds(3) {
		left := slices.Delete(slices.Clone(records), second%analyzers, second%analyzers+1)
		if second%4 == 3 {
			left = nil
		}
		names.Set("analyzers.test.", left...)
		y.wait(time.Second)
	}
	names.Set("analyzers.test.", records...)
	y.finish()
	served := 0
	for _, a := range members {
		served += min(len(a.Taken()), 1)
	}
	if served < 2 {
		t.Errorf("%d of %d analyzers got packets", served, analyzers)
	}
	if len(y.emitters.refused) > 0 {
		t.Errorf("packets were refused: %v", y.emitters.refused)
	}
}

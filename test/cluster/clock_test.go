//go:build linux

package cluster

import (
	"fmt"
	"testing"

	"github.com/logstreamer/logstreamer/test/binary"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// The wall clock of one of three distributors jumps an hour forward and back all the time: no
// packet is lost or delivered again, all distributors stay members, a lease does not lapse, and an
// override that one of them sets for half an hour applies at all of them.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	natstest.Binary(t) // or skip
	jumping, err := binary.Build(t.TempDir(), binary.JumpForthAndBack.Flags(t)...)
	if err != nil {
		t.Fatal(err)
	}
	const jumper = 1
	y := newSystem(t, setup{servers: 3, distributors: 3, environment: append([]string{"LEASE_TTL_SEC=600"}, patient...), programs: func(number int) string {
		if number == jumper {
			return jumping
		}
		return program
	}})
	y.distributors[jumper].must(201, "PUT", "/v1/leases/leased", `{"url":"http://127.0.0.1:1","weight":0.1}`)
	for i, d := range y.distributors {
		before := y.agree("")
		d.must(200, "PATCH", "/v1/analyzers/analyzer-2", fmt.Sprintf(`{"weight":%g,"ttl":"30m"}`, 0.31+float64(i)/100))
		y.agree(before)
	}
	want := y.distributors[0].weight()
	y.emitters.awaitMore(t, 1500)
	for _, d := range y.distributors {
		if got := d.weight(); got != want {
			t.Errorf("%s has %s, and %s before", d.name, got, want)
		}
		if got := d.ask("GET", "/v1/cluster", "", "").get("distributors"); len(got.([]any)) != len(y.distributors) {
			t.Errorf("%s has the distributors %v", d.name, got)
		}
	}
	if got := y.distributors[jumper].ask("GET", "/v1/leases", "", "").get("leases.0.state"); got != "active" {
		t.Errorf("the lease is %v", got)
	}
	if duplicates := y.finish(); duplicates > 0 {
		t.Errorf("%d packets were delivered again", duplicates)
	}
	if len(y.emitters.refused) > 0 {
		t.Errorf("packets were refused: %v", y.emitters.refused)
	}
}

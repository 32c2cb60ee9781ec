package admin

import (
	"testing"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/autoscale"
)

// The response has the numbers that KEDA and operators read, for all groups and for one group.
func TestScale(t *testing.T) {
	s := startSystem(t, "autoscale_min: 3\nautoscale_max: 7\nadmin_token: secret-of-operators\nadmin_tokens_file: "+withTokens(t).TokensFile+"\n")
	reader := []string{"Authorization", "Bearer " + readToken}
	s.until("the scale is decided", func() bool { return len(s.Distributor().Scale()) == 1 })
	for _, path := range []string{"/v1/scale", "/v1/scale?group=default"} {
		got := s.ok("GET", path, "", reader...)
		for member, want := range map[string]any{
			"desired": 3.0, "current": 2.0, "group": "default", "arriving_messages_per_s": 0.0, "backlog_messages": 0.0, "pace": nil,
			"utilization": 0.8, "drain_sec": 60.0, "min": 3.0, "max": 7.0,
		} {
			if value := got.get(member); value != want {
				t.Errorf("%s: %s is %v, want %v", path, member, value, want)
			}
		}
	}
	if got := s.ok("GET", "/v1/scale", "", reader...); got.get("groups.0.group") != "default" {
		t.Errorf("%s", got.text)
	}
	s.want(404, notFound, "GET", "/v1/scale?group=none", "", reader...)
}

func TestScaleOfSeveralGroups(t *testing.T) {
	one := func(group string, desired, current int) adminapi.Scale {
		return scaleOf(autoscale.Decision{Inputs: autoscale.Inputs{Group: group, Current: current, Pace: 123.46}, Desired: desired, Config: autoscale.DefaultConfig()})
	}
	all := sumOf([]adminapi.Scale{one("a", 5, 3), one("b", 1, 2)})
	if all.Desired != 6 || all.Current != 5 || all.Max != 20 || all.Pace != nil || all.Reason != "the sum of the groups (a: 5, b: 1)" || *all.Groups[0].Pace != 123.5 {
		t.Errorf("%+v", all)
	}
	if none := sumOf(nil); none.Desired != 0 || none.Reason != "no analyzer is in state ready" {
		t.Errorf("%+v", none)
	}
}

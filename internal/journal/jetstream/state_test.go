package jetstream

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// A leader does not list itself among the peers; a server that responds without a leader does.
func TestStateOf(t *testing.T) {
	peers := func(current ...bool) (all []*jetstream.PeerInfo) {
		for _, is := range current {
			all = append(all, &jetstream.PeerInfo{Current: is, Offline: !is})
		}
		return all
	}
	for name, c := range map[string]struct {
		cluster *jetstream.ClusterInfo
		current int
		quorum  bool
	}{
		"all":                         {&jetstream.ClusterInfo{Leader: "a", Replicas: peers(true, true)}, 3, true},
		"one is away":                 {&jetstream.ClusterInfo{Leader: "a", Replicas: peers(true, false)}, 2, true},
		"two are away, and it leads":  {&jetstream.ClusterInfo{Leader: "a", Replicas: peers(false, false)}, 1, false},
		"two are away, and none does": {&jetstream.ClusterInfo{Replicas: peers(false, false, true)}, 1, false},
		"one is away, and none leads": {&jetstream.ClusterInfo{Replicas: peers(false, true, true)}, 2, false},
	} {
		state := stateOf(&jetstream.StreamInfo{Config: jetstream.StreamConfig{Replicas: 3}, Cluster: c.cluster})
		if state.current != c.current || state.hasQuorum() != c.quorum {
			t.Errorf("%s: %d current, quorum %v", name, state.current, state.hasQuorum())
		}
	}
	if state := stateOf(&jetstream.StreamInfo{Config: jetstream.StreamConfig{Replicas: 1}}); state.current != 1 || !state.hasQuorum() {
		t.Errorf("without a cluster: %+v", state)
	}
}

package distributor

import "testing"

func TestMaxConnections(t *testing.T) {
	config := DefaultConfig()
	config.Targets = make([]Target, 3)
	config.Analyzer.Concurrency = 8
	for descriptors, want := range map[uint64]int{
		0:       config.Server.MaxConnections, // 0: there is no limit
		1 << 20: config.Server.MaxConnections,
		1024:    1024 - 64 - 27 - (1024-64-27)/16,
		92:      1,
		10:      1,
	} {
		if got := config.maxConnections(descriptors); got != want {
			t.Errorf("of %d descriptors %d are for emitters, want %d", descriptors, got, want)
		}
	}
}

package main

import (
	"runtime/debug"
	"testing"
)

func TestRecordedVersion(t *testing.T) {
	vcs := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123"}}
	dirty := append(vcs[:1:1], debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	for _, c := range []struct {
		module   string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.2.3", nil, "v1.2.3"},
		{"v1.2.3", vcs, "v1.2.3"},
		{"(devel)", vcs, "dev-0123456789ab"},
		{"", dirty, "dev-0123456789ab+dirty"},
		{"(devel)", nil, "dev"},
	} {
		if got := moduleVersion(&debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings}); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Package loki translates packets into pushes of Grafana Loki: streams with few labels,
// whose entries have everything else as structured metadata.
package loki

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/record"
)

// maxLabels is the default limit of Loki for the labels of a stream.
const maxLabels = 15

// maxKeptBytes bounds each of the buffers that a sender keeps between requests.
const maxKeptBytes = 4 << 20

// Backend returns a Loki. Options: label (several times) is the name of a field that becomes
// a label beside service_name and level; clamp=now moves times that Loki refuses by default;
// tenant is the X-Scope-OrgID.
func Backend(o *httpsink.Options) httpsink.Backend {
	names := slices.Sorted(slices.Values(o.List("label")))
	names = slices.Compact(names)
	if len(names) > maxLabels-2 {
		o.Fail("label", fmt.Sprintf("occurs %d times: it may %d times, since Loki allows %d labels", len(names), maxLabels-2, maxLabels))
	}
	for _, name := range names {
		if label := labelName(name); name == "" || label == "level" || label == "service_name" {
			o.Fail("label", fmt.Sprintf("is %q: it must be the name of a field other than level and service_name", name))
		}
	}
	clamp := o.Choice("clamp", "off", "now") == "now"
	b := httpsink.Backend{
		Path:        "/loki/api/v1/push",
		ContentType: "application/x-protobuf",
		Compressed:  true,
		Probe:       httpsink.Probe{Method: http.MethodGet, Path: "/ready"},
		NewCodec:    func() httpsink.Codec { return newCodec(names, clamp) },
	}
	if tenant := o.Text("tenant", ""); tenant != "" {
		b.Header = http.Header{"X-Scope-Orgid": {tenant}}
	}
	return b
}

// labelName returns the name with characters that labels cannot have replaced.
func labelName(name string) string {
	valid := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '_' || r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9') {
			return r
		}
		return '_'
	}, name)
	if valid != "" && valid[0] >= '0' && valid[0] <= '9' {
		valid = "_" + valid
	}
	return valid
}

type codec struct {
	record  *record.Reader
	labels  *labels
	streams streams
	clamp   bool
	push    []byte // protobuf, not compressed
}

func newCodec(names []string, clamp bool) *codec {
	return &codec{record: record.NewReader(reserved), labels: newLabels(names), clamp: clamp}
}

// reserved reports the names of the codec's structured metadata.
func reserved(name []byte) bool {
	switch string(name) {
	case "level", "emitter_id", "packet_id", originalTime:
		return true
	}
	return false
}

// Encode implements httpsink.Codec.
func (c *codec) Encode(r *httpsink.Request, packets []*packet.Packet) {
	c.streams.reset()
	now := time.Now()
	for _, p := range packets {
		c.record.Reset(p)
		for i := int64(0); c.record.Next(); i++ {
			one := entry{record: c.record, nanoseconds: c.record.Nanoseconds}
			if !c.record.Exact {
				// Loki drops an equal line with an equal time.
				one.nanoseconds += i % int64(time.Millisecond)
			}
			if c.clamp {
				one.clamp(p.Accepted, now)
			}
			of := c.streams.get(c.labels.take(c.record))
			of.fields = one.append(of.fields, c.labels.unknownLevel)
		}
	}
	c.push = c.streams.append(c.push[:0])
	r.Body = s2.EncodeSnappy(r.Body[:cap(r.Body)], c.push)
	if cap(c.push) > maxKeptBytes || c.streams.capacity() > maxKeptBytes {
		c.push, c.streams = nil, streams{}
	}
}

// blocked is the status with which Loki drops the entries of a tenant whose ingestion is blocked
// (block_ingestion_status_code).
const blocked = 260

// Result implements httpsink.Codec. A 400 is about some of the entries: Loki has stored the
// others, and ignores them when they come again.
func (c *codec) Result(r *httpsink.Response, _ []*packet.Packet) sink.Result {
	if r.Status == blocked {
		return r.Misconfigured()
	}
	return r.Result()
}

package analyzertest

import (
	"slices"
	"strings"
	"time"
)

// Behaviour is how an Analyzer handles requests. The zero value takes the
// packets and responds with 200.
type Behaviour struct {
	// Status is the response; packets are taken only with 2xx.
	Status     int    `json:",omitempty"`
	RetryAfter string `json:",omitempty" yaml:"retry-after"`
	// Rejected has a code for each packet that is rejected permanently, by packet id.
	Rejected map[string]string `json:",omitempty" yaml:"-"`
	// Hang does not respond while this behaviour lasts.
	Hang bool `json:",omitempty"`
	// Reset reads the request and resets the connection.
	Reset bool `json:",omitempty"`
	// Forget takes the packets and then resets the connection.
	Forget bool `json:",omitempty"`
	// Die closes the port and all connections for a second once the request is
	// read, as a crash does.
	Die bool `json:",omitempty"`
	// Refuse closes the port and all connections.
	Refuse bool `json:",omitempty"`
	// Delay precedes the response to packets; with Every, only of every n-th
	// request.
	Delay time.Duration `json:",omitempty"`
	Every int           `json:",omitempty"`
	// Service is the time one of Workers takes per packet, multiplied by
	// Slower. With Over the factor grows linearly over that time.
	Service time.Duration `json:",omitempty"`
	Workers int           `json:",omitempty"`
	Slower  float64       `json:",omitempty"`
	Over    time.Duration `json:",omitempty"`
	// Only, if set, restricts the behaviour to requests with a packet whose id
	// begins with it and a hyphen.
	Only string `json:",omitempty"`
	// Probes applies the behaviour to health probes as well.
	Probes bool `json:",omitempty"`
	// Single disables NDJSON.
	Single bool `json:",omitempty"`
}

// forPackets returns the behaviour for a request with these packets.
func (b Behaviour) forPackets(ids []string) Behaviour {
	meant := func(id string) bool { return strings.HasPrefix(id, b.Only+"-") }
	if b.Only == "" || slices.ContainsFunc(ids, meant) {
		return b
	}
	return Behaviour{Single: b.Single}
}

// takes reports whether packets are taken.
func (b Behaviour) takes() bool { return !b.Reset && (b.Status == 0 || b.Status/100 == 2) }

package native

import (
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// A distributor names itself, and the distributors that packets reach through it, in the field Via
// (RFC 9110 section 7.6.3) of the response to a probe, by pseudonyms:
//
//	Via: 1.1 logstreamer-3f9c01d2a85b7e64, 1.1 logstreamer-77aa01d2a85b0c11
//
// A distributor that finds its own there would receive what it sends.
const (
	viaField        = "Via"
	viaProtocol     = "1.1 "
	pseudonymPrefix = "logstreamer-"
	// maxGateways and maxPseudonymBytes bound what is kept of a field.
	maxGateways       = 32
	maxPseudonymBytes = 64
)

// Pseudonym returns the pseudonym of the distributor with an id.
func Pseudonym(id string) string { return pseudonymPrefix + id }

// Via returns the name and the value of the field with a distributor's pseudonym and those of the
// distributors that its sinks have probed, each once.
func Via(self string, sinks []*Sink) (name, value string) {
	gateways := []string{self}
	for _, s := range sinks {
		learned := s.gateways.Load()
		if learned == nil {
			continue
		}
		for _, one := range *learned {
			if !slices.Contains(gateways, one) {
				gateways = append(gateways, one)
			}
		}
	}
	var text strings.Builder
	for i, one := range gateways[:min(len(gateways), maxGateways)] {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(viaProtocol + one)
	}
	return viaField, text.String()
}

// DetectLoops makes probes fail whose responses name the pseudonym of this distributor. It must be
// called before the first probe.
func (s *Sink) DetectLoops(self string) { s.self = self }

// checkLoop returns false and the result of a probe if the response names this distributor. It keeps
// the distributors that the response names, but not those behind this one: their names would go round
// after they have gone.
func (s *Sink) checkLoop(r response) (result sink.Result, ok bool) {
	gateways := gatewaysOf(r.field(viaField))
	at := slices.Index(gateways, s.self)
	if s.self == "" || at < 0 {
		s.gateways.Store(&gateways)
		return sink.Result{}, true
	}
	detail := "the probe was answered by this distributor itself: its own address must not be that of an analyzer"
	if at > 0 {
		detail = "the probe was answered by a distributor that sends packets back to this one (" + strings.Join(gateways, ", ") + "): remove one of the two from the analyzers of the other"
	}
	gateways = gateways[:at]
	s.gateways.Store(&gateways)
	return sink.Result{Outcome: sink.Failed, Reason: sink.Loop, Detail: detail, Unsent: true}, false
}

// gatewaysOf returns the pseudonyms of distributors in a Via field, each once.
func gatewaysOf(field string) []string {
	var gateways []string
	for element := range strings.SplitSeq(field, ",") {
		parts := strings.Fields(element)
		if len(gateways) == maxGateways || len(parts) < 2 || len(parts[1]) > maxPseudonymBytes || !strings.HasPrefix(parts[1], pseudonymPrefix) {
			continue
		}
		if !slices.Contains(gateways, parts[1]) {
			gateways = append(gateways, parts[1])
		}
	}
	return gateways
}

package distributor

import "fmt"

// Warnings returns what to report of settings that are allowed, and that have no effect or promise
// less than others.
func (c Config) Warnings() []string {
	var reports []string
	if c.JetStream.Servers != "" && c.Journal != JournalJetStream {
		reports = append(reports, fmt.Sprintf("NATS_URL has no effect with JOURNAL=%s: only JOURNAL=jetstream stores packets in streams of NATS", c.Journal))
	}
	if c.Forward.SharedKey != "" && !c.Inputs.has("forward") {
		reports = append(reports, "FORWARD_SHARED_KEY has no effect: INPUTS does not have forward")
	}
	if c.JetStream.Replicas == 1 && c.Journal == JournalJetStream {
		reports = append(reports, "JETSTREAM_REPLICAS is 1: accepted packets are lost with the disk of their NATS server, and are refused while it is away; 3 survives the loss of one of three servers")
	}
	return reports
}

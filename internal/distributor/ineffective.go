package distributor

import "fmt"

// IneffectiveSettings returns what to report of settings that others leave without effect.
func (c Config) IneffectiveSettings() []string {
	var reports []string
	if c.JetStream.Servers != "" && c.Journal != JournalJetStream {
		reports = append(reports, fmt.Sprintf("NATS_URL has no effect with JOURNAL=%s: only JOURNAL=jetstream stores packets in streams of NATS", c.Journal))
	}
	if c.Forward.SharedKey != "" && !c.Inputs.has("forward") {
		reports = append(reports, "FORWARD_SHARED_KEY has no effect: INPUTS does not have forward")
	}
	return reports
}

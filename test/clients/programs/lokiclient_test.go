package programs

import (
	"testing"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// The lines of loki-client-go arrive once in each disturbance.
func TestLokiClient(t *testing.T) {
	path := program(t, "LOKICLIENT")
	for _, happens := range harness.Disturbances() {
		t.Run(happens.Name, func(t *testing.T) {
			t.Parallel()
			runClient(t, path, happens)
		})
	}
}

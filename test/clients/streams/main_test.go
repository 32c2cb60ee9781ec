// Package streams tests the inputs with sockets of their own with real clients.
package streams

import (
	"os"
	"testing"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

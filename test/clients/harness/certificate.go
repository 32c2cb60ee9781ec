package harness

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
)

// ServeTLS returns the settings with which a distributor serves TLS, with a certificate that the
// authority in ca.crt of the directory signs.
func ServeTLS(t *testing.T, dir string) (env []string) {
	t.Helper()
	authority, err := certificatetest.NewAuthority("test", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue("distributor", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := pair.Write(dir, "distributor")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"TLS_CERT=" + cert, "TLS_KEY=" + key}
}

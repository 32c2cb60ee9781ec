//go:build linux

package operate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
)

// rotation is a distributor with TLS for emitters and for the admin API, whose certificates
// change.
type rotation struct {
	*distributor
	ca     *certificatetest.Authority
	dir    string
	client *tls.Config
}

// issue writes the files NAME.crt and NAME.key, and returns the serial number.
func (r *rotation) issue(name string, until time.Time) (serial string) {
	r.Helper()
	pair, err := r.ca.Issue(name, until)
	if err != nil {
		r.Fatal(err)
	}
	if _, _, err = pair.Write(r.dir, name); err != nil {
		r.Fatal(err)
	}
	both, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		r.Fatal(err)
	}
	return both.Leaf.SerialNumber.String()
}

// serial returns the serial number of the certificate of a listener.
func (r *rotation) serial(address string) string {
	r.Helper()
	conn, err := tls.Dial("tcp", address, r.client)
	if err != nil {
		r.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func (r *rotation) want(serial string) {
	r.Helper()
	if ingest, admin := r.serial(r.ingest), r.serial(r.admin); ingest != serial || admin != serial {
		r.Errorf("the certificate of ingest is %s, that of the admin API %s, want %s", ingest, admin, serial)
	}
}

// config writes a configuration file that names the files of a certificate.
func (r *rotation) config(file, analyzer, name string) {
	r.Helper()
	// a busy machine must not make an analyzer unhealthy
	text := fmt.Sprintf("sender_timeout_ms: 60000\nhealth_check_timeout_sec: 60\nanalyzers: [{id: a1, url: '%s', weight: 1}]\n", analyzer)
	for _, prefix := range []string{"", "admin_"} {
		text += fmt.Sprintf("%stls_cert: %s.crt\n%[1]stls_key: %[2]s.key\n", prefix, filepath.Join(r.dir, name))
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

// reload sends SIGHUP and waits until the log contains the outcome once more.
func (d *distributor) reload(outcome string) {
	d.Helper()
	before := strings.Count(d.logged(), outcome)
	d.signal(syscall.SIGHUP)
	d.awaitLog(outcome, before+1)
}

const (
	reloaded    = "configuration reloaded"
	notReloaded = "the configuration was not reloaded, and nothing was changed"
)

// newRotation returns a rotation with an authority, before its distributor is started.
func newRotation(t *testing.T) *rotation {
	t.Helper()
	ca, err := certificatetest.NewAuthority("ca", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM)
	return &rotation{&distributor{T: t}, ca, t.TempDir(), &tls.Config{RootCAs: roots, ServerName: "localhost"}}
}

// issueWithoutKey writes a new NAME.crt and keeps the old NAME.key.
func (r *rotation) issueWithoutKey(name string, until time.Time) {
	r.Helper()
	file := filepath.Join(r.dir, name+".key")
	key, err := os.ReadFile(file)
	if err != nil {
		r.Fatal(err)
	}
	r.issue(name, until)
	if err := os.WriteFile(file, key, 0o600); err != nil {
		r.Fatal(err)
	}
}

// Under load certificates are replaced, in their files and by other files: no request fails and no
// connection ends. A certificate with the key of another one changes nothing.
func TestCertificatesUnderLoad(t *testing.T) {
	a, file := analyzertest.New(t), filepath.Join(t.TempDir(), "c.yaml")
	r := newRotation(t)
	until := time.Now().Add(time.Hour)
	serial := r.issue("first", until)
	r.config(file, a.URL(), "first")
	r.distributor = start(t, "", "-config", file, "-journal", "disk")
	l := startLoadOver(t, 8, func() (net.Conn, error) { return tls.Dial("tcp", r.ingest, r.client) })
	r.want(serial)
	for range times(3, 20) {
		serial = r.issue("first", until)
		r.reload(reloaded)
		r.want(serial)
		l.awaitMore(20)
	}
	for failed := range 3 {
		r.issueWithoutKey("first", until)
		r.reload(notReloaded)
		r.want(serial)
		r.wantMetric("distributor_config_last_reload_successful 0")
		if failed == 0 {
			r.wantMetric(`distributor_credential_reload_failures_total{use="ingest_certificate"} 1`)
			r.wantMetric(`distributor_credential_reload_failures_total{use="admin_certificate"} 1`)
		}
		l.awaitMore(20)
	}
	until = until.Add(time.Hour)
	serial = r.issue("second", until)
	if err := os.Remove(filepath.Join(r.dir, "first.crt")); err != nil {
		t.Fatal(err)
	}
	r.config(file, a.URL(), "second")
	r.reload(reloaded)
	r.want(serial)
	r.wantMetric(fmt.Sprintf(`distributor_tls_certificate_expiry_timestamp_seconds{use="ingest"} %g`, float64(until.Unix())))
	r.wantMetric("distributor_config_last_reload_successful 1")
	l.end(a)
	r.stop()
}

package harness

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestHarness(t *testing.T) {
	d := Start(t, nil, "JOURNAL=disk")
	send := func(id int) string {
		text := fmt.Sprint("m", id)
		body := fmt.Sprintf(`{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"%s"}]}`, id, text)
		response, err := http.Post(d.URL+"/ingest", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			t.Fatalf("the response is %s", response.Status)
		}
		return text
	}
	d.Analyzer.Hang()
	texts := []string{send(1), send(2)}
	d.Restart()
	texts = append(texts, send(3))
	d.Analyzer.Resume()
	d.Analyzer.AwaitOnce(t, "m", texts)
	d.Stop()
}

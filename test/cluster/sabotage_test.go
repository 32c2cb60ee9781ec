//go:build linux

package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// The rows of changes of the streams by operators while distributors run.

// Consumers, and the buckets of settings and presence, are deleted under load: they are created
// again, and no accepted packet is lost.
func TestConsumersAndBucketsDeleted(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 3, distributors: 2, environment: patient})
	before := y.agree("")
	y.distributors[0].must(200, "PATCH", "/v1/analyzers/analyzer-2", `{"weight":0.4}`)
	before = y.agree(before)
	_, api := y.connect()
	for range rounds(5) {
		for partition := range partitions {
			awaitDeleted(t, jetstream.ErrConsumerNotFound, func() error {
				return api.DeleteConsumer(t.Context(), streamOf(partition), "distributors")
			})
			y.emitters.awaitMore(t, 200)
		}
		for _, bucket := range []string{"LOGSTREAMER-settings", "LOGSTREAMER-presence"} {
			awaitDeleted(t, jetstream.ErrBucketNotFound, func() error { return api.DeleteKeyValue(t.Context(), bucket) })
			y.emitters.awaitMore(t, 200)
		}
	}
	await(t, "all know each other, and have the settings", func() bool {
		for _, d := range y.distributors {
			if d.ask("GET", "/v1/cluster", "", "").get("sum.distributors") != 2.0 || d.weight() != before {
				return false
			}
		}
		return true
	})
	y.distributors[1].must(200, "PATCH", "/v1/analyzers/analyzer-2", `{"weight":0.5}`)
	y.agree(before)
	y.finish()
	y.awaitEmptyStreams()
}

// awaitDeleted deletes resources that distributors create again, and waits until they have.
func awaitDeleted(t *testing.T, missing error, remove func() error) {
	t.Helper()
	await(t, "it exists again, and is deleted", func() bool {
		err := remove()
		if err != nil && !errors.Is(err, missing) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// All streams are deleted between two loads: they are created again, without a restart. Envelopes
// that are stored in them afterwards, with the sequences of previous envelopes, are delivered.
func TestStreamsDeleted(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 2, environment: patient})
	_, api := y.connect()
	for round := range rounds(5) {
		y.emitters.halt()
		y.awaitEmptyStreams()
		for partition := range partitions {
			if err := api.DeleteStream(t.Context(), streamOf(partition)); err != nil {
				t.Fatal(err)
			}
		}
		await(t, "the streams are there again", func() bool {
			for partition := range partitions {
				if _, err := api.Consumer(t.Context(), streamOf(partition), "distributors"); err != nil {
					return false
				}
			}
			return true
		})
		y.emitters.resume(fmt.Sprintf("%d-", round))
		y.emitters.awaitMore(t, 500)
	}
	y.finish()
	y.awaitEmptyStreams()
}

// One distributor has more streams than the others, and is killed for good: the others deliver the
// packets in the streams that only its configuration has.
func TestDistributorWithMoreStreams(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{kills: true, servers: 1, distributors: 3, environment: patient, own: func(number int) []string {
		if number == 2 {
			return []string{"JETSTREAM_PARTITIONS=6"}
		}
		return nil
	}})
	y.behave(analyzertest.Behaviour{Status: 503}) // so that the streams have packets
	y.emitters.awaitMore(t, 300)
	y.distributors[2].kill()
	y.behave(analyzertest.Behaviour{})
	y.emitters.awaitMore(t, 300)
	y.finish()
	_, api := y.connect()
	await(t, "all streams are empty", func() bool {
		for partition := range 6 {
			stream, err := api.Stream(t.Context(), streamOf(partition))
			if err != nil || stream.CachedInfo().State.Msgs > 0 {
				return false
			}
		}
		return true
	})
}

// An operator sets a maximum age of the streams under load: packets are refused until it is
// removed, since they could be lost.
func TestStreamsGetMaximumAge(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 2, environment: patient})
	_, api := y.connect()
	change := func(change func(*jetstream.StreamConfig)) {
		for partition := range partitions {
			stream, err := api.Stream(t.Context(), streamOf(partition))
			if err != nil {
				t.Fatal(err)
			}
			config := stream.CachedInfo().Config
			change(&config)
			if _, err := api.UpdateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
		}
	}
	change(func(c *jetstream.StreamConfig) { c.MaxAge = 24 * 3600e9 })
	y.emitters.awaitRefusals(t, 100)
	await(t, "the status names the maximum age", func() bool { // the state is evaluated after the refusals
		return strings.Contains(y.distributors[0].ask("GET", "/v1/status", "", "").text, "maximum age")
	})
	change(func(c *jetstream.StreamConfig) { c.MaxAge = 0 })
	y.emitters.awaitMore(t, 300)
	y.finish()
	for code := range y.emitters.refused {
		if code != "503 journal_unwritable" {
			t.Errorf("packets were refused: %v", y.emitters.refused)
		}
	}
}

// Values in the buckets that no distributor has written have no effect. While the settings cannot
// be read, such as those of a newer version, changes are refused, with the reason; once the
// settings are deleted, the distributors store theirs again.
func TestForeignValuesInBuckets(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 2, environment: patient})
	before := y.agree("")
	y.distributors[0].must(200, "PATCH", "/v1/analyzers/analyzer-2", `{"weight":0.4}`)
	before = y.agree(before)
	_, api := y.connect()
	settings, err := api.KeyValue(t.Context(), "LOGSTREAMER-settings")
	if err != nil {
		t.Fatal(err)
	}
	presence, err := api.KeyValue(t.Context(), "LOGSTREAMER-presence")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		bucket    jetstream.KeyValue
		key, text string
	}{
		{settings, "other", "x"}, {settings, "settings", `{"revision":-1,"overrides":{"x":[]}}`}, {settings, "settings", "no settings"}, {presence, "stranger", "no distributor"}, {presence, "other", `{"name":7}`},
	} {
		if _, err := one.bucket.PutString(t.Context(), one.key, one.text); err != nil {
			t.Fatal(err)
		}
		y.emitters.awaitMore(t, 100)
	}
	for _, d := range y.distributors {
		await(t, "it says that the settings cannot be read", func() bool {
			return strings.Contains(fmt.Sprint(d.ask("GET", "/v1/status", "", "").get("settings.detail")), "cannot be read")
		})
		if got := d.ask("PATCH", "/v1/analyzers/analyzer-2", `{"weight":0.5}`, ""); got.status != 503 || !strings.Contains(got.text, "cannot be read") {
			t.Errorf("%+v", got)
		}
		if got := d.ask("GET", "/v1/cluster", "", ""); got.get("sum.distributors") != 2.0 || d.weight() != before {
			t.Errorf("%s, %s", d.weight(), got.text)
		}
	}
	if err := settings.Delete(t.Context(), "settings"); err != nil {
		t.Fatal(err)
	}
	await(t, "a change is made", func() bool {
		return y.distributors[1].ask("PATCH", "/v1/analyzers/analyzer-2", `{"weight":0.5}`, "").status == 200
	})
	y.agree(before)
	y.finish()
}

// Two distributors with one DATA_DIR would overwrite each other's files: the second one does not
// start.
func TestSharedDataDir(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 1})
	first := y.distributors[0]
	second := newDistributor(t, 2, append([]string{"ANALYZERS=" + y.targets(0), "NATS_URL=" + y.servers.URL(), "JETSTREAM_REPLICAS=1"}, "DATA_DIR="+filepath.Join(first.dir, "data")))
	second.launch()
	<-second.ended
	log, err := os.ReadFile(second.log())
	if want := fmt.Sprintf("is held by process %d: two processes cannot use the same data", first.command.Process.Pid); err != nil || second.command.ProcessState.ExitCode() == 0 || !strings.Contains(string(log), want) {
		t.Errorf("it ends with %d: %s, %v", second.command.ProcessState.ExitCode(), log, err)
	}
	first.stop()
	second.start()
	second.stop()
}

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// load sends packets of 1 to 100 messages until it is stopped.
type load struct {
	accepted sync.Map // the ids of accepted packets
	packets  atomic.Int64
	refused  atomic.Int64
	first    atomic.Pointer[string] // the first refusal
	senders  sync.WaitGroup
	stop     context.CancelFunc
}

func startLoad(t *testing.T, address string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel}
	for sender := range 4 {
		random := rand.New(rand.NewPCG(uint64(sender), 1))
		l.senders.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			for n := 0; ctx.Err() == nil; n++ {
				l.send(client, address, fmt.Sprintf("%d-%d", sender, n), 1+random.IntN(100))
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	l.stop()
	l.senders.Wait()
}

func (l *load) send(client *http.Client, address, id string, messages int) {
	const message = `{"timestamp":1,"level":"INFO","message":"m"}`
	body := fmt.Sprintf(`{"emitter_id":"e","packet_id":"%s","messages":[%s%s]}`, id, message, strings.Repeat(","+message, messages-1))
	response, err := client.Post("http://"+address+"/ingest", "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		l.refuse(err.Error())
		return
	}
	text, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		l.refuse(string(text))
		return
	}
	l.packets.Add(1)
	l.accepted.Store(id, true)
}

func (l *load) refuse(why string) {
	l.refused.Add(1)
	l.first.CompareAndSwap(nil, &why)
}

// operation is a random change.
func (r *running) operation(random *rand.Rand) {
	ctx, name := r.t.Context(), fmt.Sprint("b", 1+random.IntN(4))
	request := operator
	if random.IntN(4) == 0 {
		request.TTL = time.Duration(1+random.IntN(50)) * time.Millisecond
	}
	deadline := time.Duration(random.IntN(200)) * time.Millisecond
	states := []string{distributor.StateReady, distributor.StateDrain, distributor.StateMaint}
	var err error
	switch random.IntN(7) {
	case 0:
		_, err = r.AddAnalyzer(ctx, request, distributor.Target{ID: name, URL: r.analyzers[2+int(name[1]-'1')].URL(), Weight: 0.05 + random.Float64()})
	case 1:
		_, err = r.RemoveAnalyzer(ctx, request, name, &deadline)
	case 2:
		_, err = r.Breaker(request, name, []string{breakerReset, breakerOpen}[random.IntN(2)])
	case 3:
		_, err = r.Reload(ctx, request)
	case 4:
		patch := AnalyzerPatch{State: &states[random.IntN(3)]}
		if *patch.State != distributor.StateReady {
			patch.Deadline = &deadline
		}
		_, err = r.PatchAnalyzer(ctx, request, name, patch)
	case 5:
		_, err = r.PatchSettings(ctx, request, map[string]json.RawMessage{"sender_concurrency": json.RawMessage(fmt.Sprint(1 + random.IntN(16)))})
	default:
		_, err = r.PatchAnalyzer(ctx, request, name, AnalyzerPatch{Weight: pointer(0.05 + random.Float64())})
	}
	var refusal *Error
	if err != nil && (!errors.As(err, &refusal) || refusal.Code != NotFound && refusal.Code != Conflict) {
		r.t.Error(err)
	}
}

// Under load, random changes neither lose a packet nor have one refused, every drain accounts for
// its packets, and no analyzer deviates from its share by more than the bound.
func TestRandomChangesUnderLoad(t *testing.T) {
	r := start(t, "slow_start_sec: 0.1\nhealth_check_interval_sec: 0.1\n"+
		"sender_timeout_ms: 60000\nhealth_check_timeout_sec: 60\n") // a slow response on a busy machine is no failure
	for range 3 {
		r.analyzers = append(r.analyzers, analyzertest.New(t))
	}
	until(t, "the analyzers are healthy", func() bool {
		for _, one := range r.Distributor().Status().Analyzers {
			if !one.Healthy {
				return false
			}
		}
		return true
	})
	l := startLoad(t, r.Distributor().Addr())
	random := rand.New(rand.NewPCG(1, 2))
	changes := 200
	if testing.Short() {
		changes = 50
	}
	for range changes {
		r.operation(random)
		sent := l.packets.Load()
		until(t, "packets are accepted after a change", func() bool { return l.packets.Load() > sent+10 || l.refused.Load() > 0 })
		status := r.Distributor().Status()
		for _, one := range status.Analyzers {
			if math.Abs(one.DeviationMessages) > status.MaxDeviationMessages+1e-6 {
				t.Errorf("%s is %g messages from its share, the bound is %g", one.ID, one.DeviationMessages, status.MaxDeviationMessages)
			}
		}
		// The values of a status on a busy machine may be of different moments.
		until(t, "all messages are accounted for", func() bool { return r.Distributor().Status().Unaccounted == 0 })
	}
	l.end()
	if l.refused.Load() > 0 {
		t.Errorf("%d packets were refused, the first because of %s", l.refused.Load(), *l.first.Load())
	}
	r.checkDelivered(l)
	for _, e := range r.Events().After(0, maxEvents) {
		if drain, ok := e.Detail.(DrainStatus); ok && drain.Result != drainCanceled {
			p := drain.Proof
			if p.Unaccounted != 0 || p.Held.Packets+p.RoutedSince != p.Delivered+p.Rerouted+p.DeadLettered+p.Remaining {
				t.Errorf("%+v", drain)
			}
		}
	}
}

// checkDelivered waits until all accepted packets are delivered.
func (r *running) checkDelivered(l *load) {
	r.t.Helper()
	missing := func() (ids []string) {
		taken := make(map[string]bool)
		for _, a := range r.analyzers {
			for id := range a.Taken() {
				taken[id] = true
			}
		}
		l.accepted.Range(func(id, _ any) bool {
			if !taken[id.(string)] {
				ids = append(ids, id.(string))
			}
			return true
		})
		return ids
	}
	until(r.t, "all accepted packets are delivered", func() bool { return len(missing()) == 0 })
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
	"github.com/logstreamer/logstreamer/test/ports"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"logstreamer": main})
}

// TestScripts runs the command, each script in its own directory.
// Additional script commands:
//
//	freeport NAME   set NAME to a free port
//	ready URL       wait until the URL answers 200
//	gone ADDRESS    wait until nothing listens there
//	settled URL N   wait until the ledger has nothing queued or in flight, and N packets delivered
//	moved URL       wait until the ledger has a packet delivered
//	certificates    write ca.pem, server.crt, server.key and, expired, old.crt, old.key
//	hangup          send SIGHUP to the command in the background that started last
//	terminate       send SIGTERM to the command in the background that started last
//	insist          send it SIGTERM until it ends
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(8 * time.Minute),
		Setup: func(env *testscript.Env) error {
			env.Setenv("ADMIN_ADDR", "127.0.0.1:0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport":     freePort,
			"ready":        ready,
			"gone":         awaitClosed,
			"certificates": writeCertificates,
			"settled":      awaitSettled,
			"moved":        awaitDelivery,
			"hangup":       hangup,
			"terminate":    terminate,
			"insist":       terminateUntilExit,
		},
	})
}

func writeCertificates(ts *testscript.TestScript, _ bool, _ []string) {
	until := time.Now().Add(time.Hour)
	ca, err := certificatetest.NewAuthority("ca", until)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca.PEM, 0o600))
	for name, until := range map[string]time.Time{"server": until, "old": time.Now().Add(-time.Hour)} {
		pair, err := ca.Issue(name, until)
		ts.Check(err)
		_, _, err = pair.Write(ts.MkAbs("."), name)
		ts.Check(err)
	}
}

func freePort(ts *testscript.TestScript, _ bool, args []string) {
	free, err := ports.Free(1)
	ts.Check(err)
	ts.Setenv(args[0], fmt.Sprint(free[0]))
}

func ready(ts *testscript.TestScript, _ bool, args []string) {
	waitFor(ts, args[0], func() bool {
		response, err := http.Get(args[0])
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func awaitClosed(ts *testscript.TestScript, _ bool, args []string) {
	waitFor(ts, args[0], func() bool {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

func awaitSettled(ts *testscript.TestScript, _ bool, args []string) {
	waitFor(ts, args[0], func() bool {
		l, err := readLedger(args[0])
		want := fmt.Sprint(l.Accepted.Packets)
		if len(args) > 1 {
			want = args[1]
		}
		return err == nil && l.Queued.Packets+l.InFlight.Packets == 0 && l.Delivered.Packets > 0 && fmt.Sprint(l.Delivered.Packets) == want
	})
}

func awaitDelivery(ts *testscript.TestScript, _ bool, args []string) {
	waitFor(ts, args[0], func() bool {
		l, err := readLedger(args[0])
		return err == nil && l.Delivered.Packets > 0
	})
}

// ledger is what a distributor's /ledger says.
type ledger struct {
	Accepted  struct{ Packets int } `json:"accepted"`
	Queued    struct{ Packets int } `json:"queued"`
	InFlight  struct{ Packets int } `json:"in_flight"`
	Delivered struct{ Packets int } `json:"delivered"`
}

func readLedger(url string) (ledger, error) {
	var l ledger
	response, err := http.Get(url)
	if err != nil {
		return l, err
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	return l, json.NewDecoder(response.Body).Decode(&l)
}

func waitFor(ts *testscript.TestScript, what string, done func() bool) {
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !done() {
		select {
		case <-deadline:
			ts.Fatalf("%s: waited too long", what)
		case <-ticker.C:
		}
	}
}

func hangup(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(signalLast(ts, syscall.SIGHUP))
}

func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(signalLast(ts, syscall.SIGTERM))
}

func terminateUntilExit(ts *testscript.TestScript, _ bool, _ []string) {
	waitFor(ts, "the end of a command that gets SIGTERM", func() bool {
		return errors.Is(signalLast(ts, syscall.SIGTERM), os.ErrProcessDone)
	})
}

func signalLast(ts *testscript.TestScript, s os.Signal) error {
	running := ts.BackgroundCmds()
	return running[len(running)-1].Process.Signal(s)
}

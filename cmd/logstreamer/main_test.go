package main

import (
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"logstreamer": main})
}

// TestScripts runs the command as users do, each script in a folder of its own.
// Beside the usual words, scripts may say:
//
//	freeport NAME   NAME is a port that nobody listens on
//	ready URL       wait until the URL answers 200
//	gone ADDRESS    wait until nobody listens there
//	terminate       send SIGTERM to the command in the background that started last
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(2 * time.Minute),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport":  freePort,
			"ready":     ready,
			"gone":      gone,
			"terminate": terminate,
		},
	})
}

func freePort(ts *testscript.TestScript, _ bool, args []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
	ts.Check(listener.Close())
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

func gone(ts *testscript.TestScript, _ bool, args []string) {
	waitFor(ts, args[0], func() bool {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

func waitFor(ts *testscript.TestScript, what string, done func() bool) {
	deadline := time.After(20 * time.Second)
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

func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	running := ts.BackgroundCmds()
	ts.Check(running[len(running)-1].Process.Signal(syscall.SIGTERM))
}

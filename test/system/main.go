// Command system is the system test run by test.sh: it starts the real
// processes, puts load on them, kills and restarts analyzers, and checks the
// distributor's promises. It prints a line for each check and exits with 1 when
// one fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	compose := flag.Bool("compose", false, "test the containers of docker-compose.yml instead of processes on loopback")
	load := flag.Duration("load", 5*time.Second, "how long each phase of load lasts")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, *compose, *load); err != nil {
		fmt.Fprintln(os.Stderr, "system test:", err)
		cancel()
		os.Exit(1)
	}
}

func run(ctx context.Context, compose bool, load time.Duration) (err error) {
	var target deployment
	if compose {
		target = newContainers()
	} else if target, err = newProcesses(); err != nil {
		return err
	}
	defer target.down()
	if err := target.up(ctx); err != nil {
		return err
	}
	t := &test{deployment: target, load: load, out: os.Stdout}
	t.all(ctx)
	return t.verdict()
}

// Command system is the system test that test.sh runs: it starts the real
// processes, puts load on them, takes an analyzer away and gives it back, and
// checks what the distributor promises. It prints a line for each check, with
// the figures, and exits with 1 when one fails.
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
	var under deployment
	if compose {
		under = newContainers()
	} else if under, err = newProcesses(); err != nil {
		return err
	}
	defer under.down()
	if err := under.up(ctx); err != nil {
		return err
	}
	t := &test{deployment: under, load: load, out: os.Stdout}
	t.all(ctx)
	return t.verdict()
}

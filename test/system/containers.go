package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// containers is the deployment of docker-compose.yml.
type containers struct{}

func newContainers() containers { return containers{} }

func (c containers) up(ctx context.Context) error {
	// Without the emitter, which would add load.
	if err := compose(ctx, "up", "--build", "-d", "distributor", "analyzer-1", "analyzer-2", "analyzer-3"); err != nil {
		return err
	}
	return until(ctx, "the distributor answers", func() bool { return status(ctx, c.ingest()+"/readyz") == 200 })
}

func (c containers) down() { _ = compose(context.Background(), "down") }

func (c containers) kill(ctx context.Context, analyzer string) error {
	return compose(ctx, "kill", analyzer)
}

func (c containers) start(ctx context.Context, analyzer string) error {
	return compose(ctx, "start", analyzer)
}

func (c containers) stopDistributor(ctx context.Context) error {
	return compose(ctx, "stop", "distributor")
}

func (c containers) ingest() string  { return "http://127.0.0.1:8080" }
func (c containers) metrics() string { return "http://127.0.0.1:9100" }
func (c containers) analyzer(name string) string {
	return "http://127.0.0.1:900" + strings.TrimPrefix(name, "analyzer-")
}

func compose(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "docker-compose", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker-compose %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

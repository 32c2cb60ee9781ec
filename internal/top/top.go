// Package top shows a distributor in a terminal, from its admin API. The loop of bubbletea owns the
// Model; the goroutines that follow streams and make requests send it messages.
package top

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// Options are how a distributor is shown.
type Options struct {
	// Once shows the present state and ends.
	Once bool
	// JSON prints one JSON object a snapshot.
	JSON bool
	// Terminal is whether Out is a terminal that can be drawn on. Otherwise lines are printed.
	Terminal bool
	In       io.Reader
	Out, Err io.Writer
	// Environ is the environment, for what the terminal can do and NO_COLOR.
	Environ []string
}

// Run shows a distributor until the context ends or the user quits.
func Run(ctx context.Context, client *adminclient.Client, o Options) error {
	switch {
	case o.Once:
		return once(ctx, client, o)
	case o.JSON || !o.Terminal:
		p := &plainFollower{ctx: ctx, client: client, options: o, now: time.Now}
		err := client.Follow(ctx, adminclient.Stream{Path: adminclient.Path("stream"), Idle: streamIdle}, p)
		if ctx.Err() != nil {
			return nil
		}
		return err
	default:
		return interactive(ctx, client, o)
	}
}

func interactive(ctx context.Context, client *adminclient.Client, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var program *tea.Program
	command := func(f func(context.Context) tea.Msg) tea.Cmd { return func() tea.Msg { return f(ctx) } }
	model := newModel(client, time.Now(), command, func(msg tea.Msg) { program.Send(msg) })
	program = tea.NewProgram(model, tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithEnvironment(o.Environ), tea.WithoutSignalHandler())
	var background sync.WaitGroup
	var ended error
	background.Go(func() {
		ended = follow(ctx, client, func(msg any) { program.Send(msg) })
		program.Quit()
	})
	background.Go(func() { tick(ctx, func(now time.Time) { program.Send(clockMsg(now)) }) })
	_, err := program.Run()
	cancel()
	background.Wait()
	switch {
	case errors.Is(err, tea.ErrProgramKilled) && errors.Is(ended, context.Canceled):
		return nil // a signal
	case err != nil:
		return err
	case errors.Is(ended, context.Canceled):
		return nil
	default:
		return ended
	}
}

// tick sends the time each second until the context ends.
func tick(ctx context.Context, tell func(time.Time)) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			tell(now)
		}
	}
}

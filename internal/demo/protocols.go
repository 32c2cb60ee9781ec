package demo

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// protocolDemo is a distributor with senders of several protocols, and with analyzers and other
// backends.
type protocolDemo struct {
	config      Config
	distributor *system
	analyzers   *analyzers
	senders     []*protocolSender
	arrivals    *arrivals
	others      atomic.Int64 // messages that arrived and are not the senders'
	view        *view
}

// runProtocols runs the demo of protocols.
func runProtocols(ctx context.Context, config Config, screen Screen, logger *slog.Logger) (err error) {
	var inputs []string
	for _, p := range protocols {
		inputs = append(inputs, p.input)
	}
	d := &protocolDemo{config: config, arrivals: newArrivals(inputs...), view: newView(screen)}
	if d.analyzers, err = startAnalyzers(logger, d.processed); err != nil {
		return err
	}
	defer d.analyzers.stop()
	backends, err := startBackends(d.taken, logger)
	if err != nil {
		return err
	}
	defer stopBackends(backends)
	targets := d.analyzers.targets()
	for _, b := range backends {
		targets = append(targets, b.target)
	}
	settings := settings(targets)
	for _, input := range inputs {
		settings.Distributor.Inputs = append(settings.Distributor.Inputs, distributor.Input{Name: input, Address: "127.0.0.1:0"})
	}
	settings.Distributor.Analyzer.Timeout = 5 * time.Second // backends store larger batches
	if d.distributor, err = startSystem(ctx, settings, d.analyzers, nil, logger); err != nil {
		return err
	}
	defer func() { _ = d.distributor.stop(ctx) }() // for error returns before the stop below
	if err := d.prepareSenders(); err != nil {
		return err
	}
	d.printHeader()
	d.send(ctx)
	if err := d.distributor.stop(ctx); err != nil { // delivers what is queued
		return err
	}
	d.drawLast()
	return d.printLedger()
}

func (d *protocolDemo) prepareSenders() error {
	for i, p := range protocols {
		sizes, err := emitter.ParseSizes(d.config.PacketSize, uint64(i+1))
		if err != nil {
			return err
		}
		d.senders = append(d.senders, &protocolSender{
			protocol: p, address: d.distributor.InputAddr(p.input).String(), sizes: sizes, pacer: emitter.Pacer{Rate: d.config.Rate / float64(len(protocols))},
		})
	}
	return nil
}

// processed reads the messages of a packet that an analyzer has processed.
func (d *protocolDemo) processed(info packet.Info, body []byte) {
	var reader packet.Reader
	var text []byte
	for reader.Reset(&packet.Packet{Info: info, Body: body}); reader.Next(); {
		text = reader.Message.Text.AppendDecoded(text[:0], body)
		d.taken(string(text))
	}
}

// taken records a message that an analyzer or a backend has.
func (d *protocolDemo) taken(text string) {
	if !d.arrivals.noteText(text) {
		d.others.Add(1)
	}
}

// send runs the senders for the duration, or until ctx ends, and draws tables meanwhile.
func (d *protocolDemo) send(ctx context.Context) {
	const stopTimeout = 5 * time.Second
	producing, end := context.WithCancel(ctx)
	defer end()
	if d.config.Duration > 0 && !d.config.Console {
		producing, end = context.WithTimeout(ctx, d.config.Duration)
		defer end()
	}
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	context.AfterFunc(producing, func() { time.AfterFunc(stopTimeout, giveUp) })
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		var running sync.WaitGroup
		for _, s := range d.senders {
			running.Go(func() { s.run(producing, sending) })
		}
		running.Wait()
	}()
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	kill, restart := after(d.config.KillAfter), (<-chan time.Time)(nil)
	for {
		select {
		case <-sent:
			return
		case <-ticker.C:
			if d.config.Console || !endsSoon(d.view.start, d.config.Duration) { // else the last table follows
				d.draw()
			}
		case <-kill:
			restart = killFirst(d.analyzers, d.config.KillDuration, d.view)
		case <-restart:
			restartFirst(d.analyzers, d.view)
		}
	}
}

func (d *protocolDemo) printHeader() {
	out := d.view.screen.Out
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	line("Sending %s messages a request, %g requests a second, by %d protocols to one\n", d.config.PacketSize, d.config.Rate, len(protocols))
	line("distributor; to three analyzers, an Elasticsearch and a Loki (stand-ins).\n")
	line("Metrics http://%s/metrics   console http://%s/\n", d.distributor.MetricsAddr(), d.distributor.consoleAddr())
	line("Paste one of these in another terminal, and see it arrive in the row \"others\"\n")
	line("(with -console the demo continues until it is interrupted):\n\n")
	for _, s := range d.senders {
		line("  # %s\n  "+s.protocol.try+"\n", s.protocol.input, s.address)
	}
	line("\n")
}

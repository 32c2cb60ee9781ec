package distributor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/listener"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/otlp"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// servedInputs are the inputs of a distributor.
type servedInputs struct {
	receivers *receiver.Service // nil without inputs
	onIngest  []receiver.HTTP   // protocols on the ingest port
	sockets   map[string]inputSocket
	servers   []stopper // of protocols over HTTP
	streams   []stopper // of protocols that cannot refuse packets, but stop reading
}

// wireInputs creates the receivers, and the protocols of the ingest port.
func (d *Distributor) wireInputs(config Config) error {
	if len(config.Inputs) == 0 {
		return nil
	}
	metrics, err := receiver.NewMetrics(d.registry)
	if err != nil {
		return err
	}
	d.inputs.receivers, err = receiver.NewService(config.Receiver, receiver.Dependencies{
		Intake: d.intake, Tokens: d.credentials.principals(), Metrics: metrics, Limits: d.inputLimits, KeepsOrigins: d.sendsOTLP, DefersBodies: d.sendsOnlyOTLP, InMemory: !d.stores,
		Logger: d.logger,
	})
	if err != nil || !config.Inputs.has(InputHTTP) {
		return err
	}
	for _, kind := range inputKinds {
		switch {
		case kind.onPort != nil:
			d.inputs.onIngest = append(d.inputs.onIngest, kind.onPort(d, d.receiverOf(kind.name)))
		case kind.http != nil:
			d.inputs.onIngest = append(d.inputs.onIngest, kind.http(d, d.receiverOf(kind.name)))
		}
	}
	return nil
}

// receiverOf returns the receiver of an input. Its protocol is the name without the transport.
func (d *Distributor) receiverOf(input string) *receiver.Receiver {
	protocol, _, _ := strings.Cut(input, "-")
	return d.inputs.receivers.Receiver(input, protocol)
}

// inputLimits returns the limits of packets that inputs make, so that the limits of the native
// protocol and a shared journal allow them.
func (d *Distributor) inputLimits() record.Limits {
	config := &d.config.Load().Native
	limits := record.Limits{Bytes: config.MaxBodyBytes, Messages: config.MaxPacketMessages}
	if shared, ok := d.journal.(journal.Shared); ok {
		limits.Bytes = min(limits.Bytes, shared.MaxPacketBytes())
	}
	return limits
}

// listenInputs binds the sockets that are not inherited, and closes inherited sockets of inputs
// that are no longer configured.
func (d *Distributor) listenInputs(config Config, inherited Sockets) error {
	d.inputs.sockets = make(map[string]inputSocket)
	var errs []error
	for _, one := range config.Inputs {
		if one.Address == "" {
			continue
		}
		socket, err := d.listenInput(one, inherited)
		if err != nil {
			errs = append(errs, fmt.Errorf("INPUTS: %s: %w", one.Name, err))
			continue
		}
		d.inputs.sockets[one.Name] = socket
	}
	for name, l := range inherited.Inputs {
		if l != nil && d.inputs.sockets[name].listener != l {
			_ = l.Close()
		}
	}
	for name, c := range inherited.Datagrams {
		if c != nil && d.inputs.sockets[name].packets != c {
			_ = c.Close()
		}
	}
	return errors.Join(errs...)
}

func (d *Distributor) listenInput(one Input, inherited Sockets) (socket inputSocket, err error) {
	socket.plain = one.kind().plain
	switch l, c := inherited.Inputs[one.Name], inherited.Datagrams[one.Name]; {
	case l != nil:
		socket.listener = l
		d.warnOfPort(one.Name, l.Addr(), portOf(one.Address), "INPUTS")
	case c != nil:
		socket.packets = c
		d.warnOfPort(one.Name, c.LocalAddr(), portOf(one.Address), "INPUTS")
	case one.kind().udp:
		socket.packets, err = net.ListenPacket("udp", one.Address)
	default:
		socket.listener, err = net.Listen("tcp", one.Address)
	}
	return socket, err
}

// InputAddr returns the address of an input's socket, or nil if it has none.
func (d *Distributor) InputAddr(name string) net.Addr {
	switch socket := d.inputs.sockets[name]; {
	case socket.listener != nil:
		return socket.listener.Addr()
	case socket.packets != nil:
		return socket.packets.LocalAddr()
	}
	return nil
}

// serveInputs starts serving the sockets.
func (d *Distributor) serveInputs() {
	for _, one := range d.Config().Inputs {
		socket, bound := d.inputs.sockets[one.Name]
		if !bound {
			continue
		}
		kind, from := one.kind(), d.receiverOf(one.Name)
		if kind.http != nil {
			d.inputs.servers = append(d.inputs.servers, d.serveHTTP(one.Name, socket.listener, kind.http(d, from)))
		} else {
			d.inputs.streams = append(d.inputs.streams, kind.serve(d, from, socket))
		}
		d.logger.Info("input is served", "input", one.Name, "address", d.InputAddr(one.Name).String())
	}
}

// serveHTTP serves the listener of one protocol over HTTP.
func (d *Distributor) serveHTTP(input string, l net.Listener, protocol receiver.HTTP) stopper {
	routes := func(r *server.Request, to *http1.Response) {
		if !protocol.Handle(r, to) {
			d.protocol.Refuse(to, problem.Problem{Code: problem.NotFound, Detail: "the input " + input + " has no such path"}, "")
		}
	}
	config := d.Config().Server
	config.DrainDelay = 0 // the test of the ingest port has passed
	return server.Serve(l, config, server.Dependencies{
		Routes: routes, Protocol: d.protocol, NoLoops: true, Logger: d.logger.With("component", "input", "input", input),
		TLS: d.credentials.listenerTLS(), HandshakeFailed: d.credentials.handshakeFailures.Inc,
	})
}

// serveOTLP serves a listener of OTLP over gRPC.
func serveOTLP(d *Distributor, r *receiver.Receiver, socket inputSocket) stopper {
	return otlp.ServeGRPC(socket.listener, otlp.GRPCDependencies{
		Receiver: r, TLS: d.credentials.listenerTLS(), HandshakeFailed: d.credentials.handshakeFailures.Inc,
		MaxConnections: d.Config().Server.MaxConnections, Logger: d.logger.With("component", "input", "input", "otlp-grpc"),
	})
}

// copyInputs adds copies of the inputs' sockets to sockets: the kernel queues connections and
// datagrams until the successor takes them.
func (d *Distributor) copyInputs(sockets *Sockets) (err error) {
	sockets.Inputs, sockets.Datagrams = make(map[string]net.Listener), make(map[string]net.PacketConn)
	for name, socket := range d.inputs.sockets {
		if socket.packets != nil {
			sockets.Datagrams[name], err = listener.CopyPackets(socket.packets)
		} else {
			sockets.Inputs[name], err = listener.Copy(socket.listener)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stopInputs stops the inputs over HTTP.
func (d *Distributor) stopInputs(ctx context.Context) error {
	return stopAll(ctx, &d.inputs.servers)
}

// stopStreams stops the other inputs. It is called while the intake accepts packets, since these
// protocols cannot refuse messages that they have read. A client that stalls, such as within a call
// of gRPC, takes at most a quarter of the remaining time: the rest is for deliveries.
func (d *Distributor) stopStreams(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/4)
		defer cancel()
	}
	return stopAll(ctx, &d.inputs.streams)
}

// stopAll stops servers at the same time, as each may wait for its clients.
func stopAll(ctx context.Context, servers *[]stopper) error {
	errs := make([]error, len(*servers))
	var stopping sync.WaitGroup
	for i, one := range *servers {
		stopping.Go(func() { errs[i] = one.Stop(ctx) })
	}
	stopping.Wait()
	*servers = nil
	return errors.Join(errs...)
}

// closeInputs closes the sockets that no server has closed.
func (d *Distributor) closeInputs() {
	for _, socket := range d.inputs.sockets {
		if socket.listener != nil {
			_ = socket.listener.Close()
		}
		if socket.packets != nil {
			_ = socket.packets.Close()
		}
	}
}

package distributor

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/datagram"
	"github.com/logstreamer/logstreamer/internal/protocol/forward"
	"github.com/logstreamer/logstreamer/internal/protocol/gelf"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/stream"
	"github.com/logstreamer/logstreamer/internal/protocol/syslog"
)

// serveSyslog serves syslog over TCP, over TLS and over UDP.
func serveSyslog(d *Distributor, r *receiver.Receiver, socket inputSocket) stopper {
	protocol := syslog.New(r, time.Local)
	if socket.packets != nil {
		return d.serveDatagrams(r, socket, datagram.Dependencies{Handler: protocol.HandleDatagrams})
	}
	return d.serveStream(r, socket, stream.Dependencies{Handler: protocol.HandleConnection, OneWay: true})
}

// serveGELF serves GELF over TCP and over UDP.
func serveGELF(d *Distributor, r *receiver.Receiver, socket inputSocket) stopper {
	sockets := gelf.NewSockets(r)
	if socket.packets != nil {
		return d.serveDatagrams(r, socket, datagram.Dependencies{Handler: sockets.HandleDatagrams, Stopped: sockets.DropChunks})
	}
	return d.serveStream(r, socket, stream.Dependencies{Handler: sockets.HandleConnection, OneWay: true})
}

// serveForward serves the Forward protocol, and its heartbeats over UDP if the port is free.
func serveForward(d *Distributor, r *receiver.Receiver, socket inputSocket) stopper {
	protocol := forward.New(d.Config().Forward, r)
	served := forwardInput{connections: d.serveStream(r, socket, stream.Dependencies{Handler: protocol.HandleConnection})}
	packets, err := net.ListenPacket("udp", socket.listener.Addr().String())
	if err != nil {
		d.logger.Warn("heartbeats over UDP are not answered", "component", "input", "protocol", "forward", "error", err)
		return served
	}
	served.heartbeats = forward.ServeHeartbeats(packets)
	return served
}

// forwardInput is the input of the Forward protocol.
type forwardInput struct {
	connections stopper
	heartbeats  *forward.Heartbeats // or nil
}

// Stop implements stopper.
func (f forwardInput) Stop(ctx context.Context) error {
	err := f.connections.Stop(ctx)
	if f.heartbeats != nil {
		err = errors.Join(err, f.heartbeats.Stop(ctx))
	}
	return err
}

// serveStream serves connections. The dependencies have a handler.
func (d *Distributor) serveStream(r *receiver.Receiver, socket inputSocket, deps stream.Dependencies) stopper {
	deps.HandshakeFailed = d.credentials.handshakeFailures.Inc
	deps.Rejected = func() { r.Refuse(problem.Problem{Code: problem.Overloaded}) }
	deps.Logger = d.logger.With("component", "input")
	if !socket.plain {
		deps.TLS = d.credentials.listenerTLS()
	}
	return stream.Serve(socket.listener, d.Config().Server.MaxConnections, deps)
}

// serveDatagrams serves a socket of datagrams. The dependencies have a handler.
func (d *Distributor) serveDatagrams(r *receiver.Receiver, socket inputSocket, deps datagram.Dependencies) stopper {
	deps.Dropped = func(n int) { r.Reject(problem.Overloaded, n) }
	deps.KernelDropped = r.CountKernelDrops
	deps.Logger = d.logger.With("component", "input", "address", socket.packets.LocalAddr().String())
	return datagram.Serve(socket.packets, deps)
}

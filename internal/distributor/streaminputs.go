package distributor

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/datagram"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/stream"
	"github.com/logstreamer/logstreamer/internal/protocol/syslog"
)

// serveSyslog serves syslog over TCP, over TLS and over UDP.
func serveSyslog(d *Distributor, r *receiver.Receiver, socket inputSocket) stopper {
	protocol := syslog.New(r, time.Local, d.logger.With("component", "input", "protocol", "syslog"))
	if socket.packets != nil {
		return d.serveDatagrams(r, socket, protocol.HandleDatagrams)
	}
	return d.serveStream(r, socket, protocol.HandleConnection)
}

// serveStream serves connections.
func (d *Distributor) serveStream(r *receiver.Receiver, socket inputSocket, handler stream.Handler) stopper {
	deps := stream.Dependencies{
		Handler: handler, HandshakeFailed: d.credentials.handshakeFailures.Inc,
		Rejected: func() { r.Refuse(problem.Problem{Code: problem.Overloaded}) },
		Logger:   d.logger.With("component", "input"),
	}
	if !socket.plain {
		deps.TLS = d.credentials.ingest
	}
	return stream.Serve(socket.listener, d.Config().Server.MaxConnections, deps)
}

// serveDatagrams serves a socket of datagrams.
func (d *Distributor) serveDatagrams(r *receiver.Receiver, socket inputSocket, handler datagram.Handler) stopper {
	return datagram.Serve(socket.packets, datagram.Dependencies{
		Handler:       handler,
		Dropped:       func(n int) { r.Reject(problem.Overloaded, n) },
		KernelDropped: r.CountKernelDrops,
		Logger:        d.logger.With("component", "input", "address", socket.packets.LocalAddr().String()),
	})
}

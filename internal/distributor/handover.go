package distributor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/listener"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/server"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// Sockets are the sockets that a distributor takes over instead of binding them: from systemd, from
// the process's previous binary, or from the previous distributor. The zero value has no sockets.
type Sockets struct {
	// Ingest and Metrics listen; if nil, they are bound by the settings.
	Ingest, Metrics net.Listener
	// Inputs are listeners by the names of inputs, and Datagrams sockets; missing ones are bound by
	// the settings.
	Inputs    map[string]net.Listener
	Datagrams map[string]net.PacketConn
	// Connections are the connections of emitters without a request in progress.
	Connections []net.Conn
}

// Close closes all sockets.
func (s Sockets) Close() {
	for _, l := range []net.Listener{s.Ingest, s.Metrics} {
		if l != nil {
			_ = l.Close()
		}
	}
	for _, l := range s.Inputs {
		if l != nil {
			_ = l.Close()
		}
	}
	for _, c := range s.Datagrams {
		if c != nil {
			_ = c.Close()
		}
	}
	for _, c := range s.Connections {
		_ = c.Close()
	}
}

// ErrUndelivered is the reason why a distributor with a memory journal is not handed over: its
// packets would be lost.
var ErrUndelivered = errors.New("the packets of the memory journal cannot be delivered in time")

// Handover stops the distributor as Stop does, but neither refuses requests nor closes connections:
// it returns the sockets, on which clients wait for a successor. With a disk journal, packets that
// analyzers do not answer within a short time stay for the successor. With a memory journal all
// packets are delivered first. After an error, such as ErrUndelivered when the context ends before,
// the distributor continues serving. Handover must not be called concurrently with Start or Stop.
func (d *Distributor) Handover(ctx context.Context) (Sockets, error) {
	sockets, err := d.copyListeners()
	if err != nil {
		return Sockets{}, err
	}
	d.logger.Info("distributor hands over: answering the requests under way")
	d.freeze()
	_ = d.stopStreams(ctx) // its clients connect again
	d.replayer.Stop()      // a replay would append packets after the last one was delivered
	d.router.Drain()       // before the server: requests may wait for deliveries
	if d.ingestServer.Release(ctx) > 0 {
		d.intake.Drain() // refuses requests that are not received in time
	}
	_ = d.ingestServer.Stop(ctx) // the listener is closed
	_ = d.stopInputs(ctx)        // the clients connect again
	sockets.Connections = d.ingestServer.Released()
	if d.Stores() {
		d.releaseShared()
		d.flush(ctx)
	} else if !worker.Poll(ctx, d.settled) {
		return Sockets{}, d.resume(sockets)
	}
	d.stopOnce.Do(func() { d.shutDown(ctx) })
	if d.stopErr != nil {
		d.logger.Warn("a component could not be stopped in order", "error", d.stopErr)
	}
	return sockets, nil
}

// copyListeners returns copies of the listeners. The kernel queues connections while one of the
// copies is open.
func (d *Distributor) copyListeners() (Sockets, error) {
	var sockets Sockets
	var err error
	if sockets.Ingest, err = listener.Copy(d.serving); err != nil {
		return Sockets{}, err
	}
	if sockets.Metrics, err = listener.Copy(d.metricsListener); err == nil {
		err = d.copyInputs(&sockets)
	}
	if err != nil {
		sockets.Close()
		return Sockets{}, err
	}
	return sockets, nil
}

// resume serves the sockets again, after a drain that took too long.
func (d *Distributor) resume(sockets Sockets) error {
	left := d.unsettled()
	d.router.Resume()
	d.intake.Resume()
	d.replayer.Resume()
	_ = sockets.Metrics.Close() // the original socket is still served
	d.serveIngest(sockets.Ingest, sockets.Connections)
	if err := d.listenInputs(d.Config(), sockets); err != nil {
		d.logger.Error("an input is not served any more", "error", err)
	}
	d.serveInputs()
	d.unfreeze()
	return fmt.Errorf("%w: %d packets (%d messages) are left", ErrUndelivered, left.Packets, left.Messages)
}

// unfreeze revokes freeze. Members of groups, and leases, may have changed meanwhile.
func (d *Distributor) unfreeze() {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	d.stopped = false
	_, err := d.replan(joinTimeout)
	if err == nil {
		return
	}
	d.logger.Error("the members of groups cannot be changed", "error", err) // such as a certificate that is gone
	if err := d.router.Configure(routing(d.Config(), d.present())); err != nil {
		d.logger.Error("the configuration cannot be restored", "error", err) // impossible: the settings are valid
	}
}

func (d *Distributor) serveIngest(l net.Listener, released []net.Conn) {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	d.serving = l
	d.ingestServer = server.Serve(l, d.Config().Server, server.Dependencies{
		Routes: d.route, Protocol: d.protocol, Released: released, Logger: d.logger.With("component", "ingest"),
		TLS: d.credentials.listenerTLS(), HandshakeFailed: d.credentials.handshakeFailures.Inc,
	})
}

// flush stops routing and waits for the packets that analyzers hold, for the time of one request at
// most. Packets that wait on disk only would delay the successor.
func (d *Distributor) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second+d.Config().Analyzer.Timeout)
	defer cancel()
	d.router.Stop()
	worker.Poll(ctx, func() bool { return d.bound() == packet.Volume{} })
}

// bound returns the volume that analyzers hold.
func (d *Distributor) bound() packet.Volume {
	var bound packet.Volume
	for _, a := range d.analyzers.Load().all() {
		queued, inFlight := a.Volumes()
		bound = bound.Plus(queued).Plus(inFlight)
	}
	return bound
}

// inherit takes the sockets over and warns where they differ from the settings.
func (d *Distributor) inherit(sockets Sockets) error {
	for _, given := range []struct {
		name     string
		listener net.Listener
		port     string
		settings string
	}{
		{"ingest", sockets.Ingest, strconv.Itoa(d.Config().Port), "PORT"},
		{"metrics", sockets.Metrics, portOf(d.Config().MetricsListen), "METRICS_ADDR"},
	} {
		if given.listener == nil {
			continue
		}
		addr, ok := given.listener.Addr().(*net.TCPAddr)
		if !ok {
			return fmt.Errorf("the inherited listener %q is %v (%s): it must be a TCP socket", given.name, given.listener.Addr(), given.listener.Addr().Network())
		}
		d.warnOfPort(given.name, addr, given.port, given.settings)
	}
	d.ingestListener, d.metricsListener, d.released = sockets.Ingest, sockets.Metrics, sockets.Connections
	return nil
}

// AddConnections adds emitters' connections on which no request is under way to those that the
// distributor took over. It must be called before Start.
func (d *Distributor) AddConnections(conns []net.Conn) { d.released = append(d.released, conns...) }

// warnOfPort warns if the port of an inherited socket differs from a setting.
func (d *Distributor) warnOfPort(name string, addr net.Addr, port, setting string) {
	if port != "0" && port != portOf(addr.String()) {
		d.logger.Warn("an inherited listener is used although a setting names another port; a restart changes the port",
			"listener", name, "address", addr.String(), "setting", setting, "port", port)
	}
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

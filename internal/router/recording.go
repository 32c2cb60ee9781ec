package router

import (
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// The functions below record operations after the router applied them. They do nothing
// if the router has no recorder.

// routeRecorded is routePending with a recorder.
func (r *Router) routeRecorded(now time.Time) (routed int) {
	at := r.recorder.micros(now)
	for routed < len(r.pending) {
		d := &r.pending[routed]
		before := causeOf(d)
		m := r.route(d, now)
		if m == nil {
			break
		}
		r.recorder.pick(d, before, m.index, r.avoided(d), m.capacity+1, at)
		routed++
	}
	return routed
}

// causeOf returns why a packet is about to be picked for.
func causeOf(d *upstream.Delivery) cause {
	switch {
	case d.Attempted || d.Failures != nil || d.DeadLetterPending:
		return causeAgain
	case d.Analyzer != "":
		return causeReturned
	default:
		return causeFirst
	}
}

// pick records that a packet was charged to a member and staged.
func (rec *recorder) pick(d *upstream.Delivery, why cause, member, avoid, capacity int, at int64) {
	p := d.Packet
	p.Pick = uint32(rec.next)
	rec.current.ids[rec.next%frameEntries] = p.IDs()
	rec.members[member].capacity = capacity - 1
	rec.append(encodePick(opPick, uint64(max(at-rec.current.start, 0)), member, p.Messages, avoid, capacity, why, rec.waited(d, at)), at)
}

// waited returns the time since a packet was accepted.
func (rec *recorder) waited(d *upstream.Delivery, at int64) time.Duration {
	if d.Packet.Accepted.IsZero() {
		return 0
	}
	return time.Duration(at)*time.Microsecond - d.Packet.Accepted.Sub(rec.started)
}

// recordFull records that the packet was charged to a member without capacity, and
// refunded. The same once more changes nothing, and is not recorded again.
func (r *Router) recordFull(m *member, d *upstream.Delivery, avoid int, now time.Time) {
	rec := r.recorder
	if rec == nil {
		return
	}
	if f := rec.current; f.count > 0 {
		last := f.entries[f.count-1].decode(f.start)
		if last.op == opFull && last.member == m.index && last.messages == d.Packet.Messages && last.avoid == avoid {
			return
		}
	}
	at := rec.micros(now)
	rec.write(event{op: opFull, at: at, member: m.index, messages: d.Packet.Messages, avoid: avoid, cause: causeOf(d), waited: rec.waited(d, at)})
}

func (r *Router) recordRefund(m *member, d *upstream.Delivery, now time.Time) {
	if r.recorder != nil {
		r.recorder.write(event{op: opRefund, at: r.recorder.micros(now), member: m.index, messages: d.Packet.Messages})
	}
}

func (r *Router) recordJoin(m *member, now time.Time) {
	if r.recorder != nil {
		r.recorder.members[m.index].outage = 0
		r.recorder.write(event{op: opJoin, at: r.recorder.micros(now), member: m.index})
	}
}

// recordLeave records why a member is inactive, if it left or was never active.
func (r *Router) recordLeave(m *member, left bool, now time.Time) {
	if r.recorder != nil && (left || r.recorder.members[m.index].outage == 0) {
		r.recorder.out(m, now)
	}
}

// out records why a member is inactive.
func (rec *recorder) out(m *member, now time.Time) {
	one := &rec.members[m.index]
	one.outage, one.until = m.outageMicros(now)
	rec.write(event{op: opOut, at: rec.micros(now), member: m.index, outage: one.outage, until: one.until})
}

func (r *Router) recordWeight(m *member, ramp float64, now time.Time) {
	rec := r.recorder
	if rec == nil {
		return
	}
	if one := &rec.members[m.index]; rec.table.Weight(m.index) != one.weight {
		one.weight, one.ramp = rec.table.Weight(m.index), ramp
		rec.write(event{op: opWeight, at: rec.micros(now), member: m.index, weight: one.weight, ramp: ramp})
	}
}

// recordCapacities records the capacities that are less than half or more than twice what
// was recorded, so that a busy router does not record one for each packet.
func (r *Router) recordCapacities(now time.Time) {
	rec := r.recorder
	if rec == nil {
		return
	}
	for _, m := range r.members {
		if one := &rec.members[m.index]; m.capacity > 2*one.capacity || 2*m.capacity < one.capacity || (m.capacity == 0) != (one.capacity == 0) {
			one.capacity = m.capacity
			rec.write(event{op: opCapacity, at: rec.micros(now), member: m.index, capacity: m.capacity})
		}
	}
}

// recordTick records changed reasons of outages, and begins a frame before the times of
// the current one overflow. It is called every upstream.TickInterval.
func (r *Router) recordTick(now time.Time) {
	rec := r.recorder
	if rec == nil {
		return
	}
	for _, m := range r.members {
		if r.table.Active(m.index) {
			continue
		}
		one := &rec.members[m.index]
		if reason, until := m.outageMicros(now); reason != one.outage || until != one.until {
			rec.out(m, now)
		}
	}
	if at := rec.micros(now); at-rec.current.start > maxFrame.Microseconds() {
		rec.beginFrame(at, false)
	}
}

// recordMembers begins a frame if members came or went.
func (r *Router) recordMembers(members []*member, now time.Time) {
	if r.recorder != nil && !slices.Equal(members, r.members) {
		r.recorder.begin(members, r.byIndex, now)
	}
}

// begin begins a frame with new members; byIndex is by index of the table.
func (rec *recorder) begin(members, byIndex []*member, now time.Time) {
	rec.members = slices.Repeat([]memberRecord{{}}, len(byIndex))
	for _, m := range members {
		one := memberRecord{id: m.ID(), weight: rec.table.Weight(m.index), ramp: 1}
		if m.weight > 0 { // it is not new
			one.ramp, one.capacity = one.weight/m.weight, m.capacity
			if !rec.table.Active(m.index) {
				one.outage, one.until = m.outageMicros(now)
			}
		}
		rec.members[m.index] = one
	}
	rec.beginFrame(rec.micros(now), true)
}

// outage returns why a member is inactive, and until when if that is known.
func (m *member) outage(now time.Time) (reason upstream.Outage, until time.Time) {
	switch {
	case m.out != 0:
		return m.out, time.Time{}
	case m.ejected:
		return upstream.NoRoom, time.Time{}
	default:
		return m.Outage(now)
	}
}

// outageMicros is outage with a time in microseconds since 1970, 0 if it is not known.
func (m *member) outageMicros(now time.Time) (reason upstream.Outage, until int64) {
	reason, end := m.outage(now)
	if !end.IsZero() {
		until = end.UnixMicro()
	}
	return reason, until
}

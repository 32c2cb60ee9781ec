// What the state of an analyzer means: whether it is out, why, and what the shares follow.
import {state} from './store.js';
import {count, plural, span, list, are} from './format.js';

// outs are why an analyzer gets no packets, in short and in a sentence.
const outs = {
  breaker_open: ['breaker open', 'its breaker is open'], asked_pause: ['pausing', 'it requested a pause'], no_room: ['full', 'its queue is full'],
  drain: ['drained', 'an operator drains it'], maint: ['maintenance', 'an operator put it in maintenance'],
  avoided: ['avoided', 'packets that it failed with avoid it'], probing: ['first probe', 'its first probe has not ended'],
};

const healths = {down: 'it does not answer', 'warming up': 'it returns with a part of its share', 'half-open': 'it returns with few packets'};

// outage is why the breaker of an analyzer opened, without the addresses of a connection.
export const outage = a => (a.outage ?? '').replace(/^(\w+: )?(dial|read|write) .*: | ""$/g, '');

// why says why an analyzer gets no packets, or too few; it is empty while it gets its share.
export const why = a => {
  if (a.state === 'maint') return outs.maint[1];
  if (a.drain?.running) return outs.drain[1];
  if (a.state === 'drain') return 'an operator drained it';
  if (a.out === 'breaker_open' && outage(a)) return `${outs.breaker_open[1]} (${outage(a)})`;
  return outs[a.out]?.[1] ?? healths[a.health] ?? (a.health === 'healthy' ? '' : a.health);
};

// reasons says why analyzers are out, without a reason that another one says with its cause.
export const reasons = out => list([...new Set(out.map(why))].filter((one, _, all) => !all.some(other => other !== one && other.startsWith(one)))).replaceAll('its breaker is', out.length > 1 ? 'their breakers are' : 'its breaker is');

// isOut reports whether an analyzer gets no new packets.
export const isOut = a => a.state !== 'ready' || ['breaker_open', 'asked_pause', 'drain', 'maint'].includes(a.out) || a.health === 'down';

// level is the kind of an analyzer's state: good, warn, info (an operator's doing) or bad.
export const level = a => a.state !== 'ready' || ['drain', 'maint'].includes(a.out) ? 'info' : isOut(a) ? 'bad' : why(a) ? 'warn' : 'good';

// recipeOf is the recipe about an analyzer that is out.
export const recipeOf = a => ({bad: 'AnalyzerDown', info: 'AnalyzerTakenOut'})[level(a)];

export const stateWords = a => {
  if (a.state === 'maint') return 'maintenance';
  if (a.drain?.running) return 'draining';
  if (a.state === 'drain') return 'drained';
  if (isOut(a)) return 'out: ' + (outs[a.out]?.[0] ?? 'no answer');
  return a.out === 'no_room' && a.health === 'healthy' ? 'full' : a.health;
};

// nextTry says when the breaker of an analyzer lets a packet or a probe through.
export const nextTry = a => {
  const left = (Date.parse(a.until) - state.snapshot?.time) / 1000;
  return left < 1 ? 'next try now' : `next try in ${span(left)}`;
};

const ids = analyzers => list(analyzers.map(a => a.id));

// dueWords says what share each analyzer is due.
const dueWords = (out, returns) => {
  if (out.length) return `${ids(out)} ${are(out)} out: ${out.length === 1 ? 'its' : 'their'} part is due to the others, by their weights`;
  if (returns.length) return `${ids(returns)} ${returns.length === 1 ? 'returns, and is' : 'return, and are'} due less than the weight`;
  return 'Each is due its weight';
};

// sharing says what the shares follow now: {text, short, level}; off is the largest deviation.
export const sharing = (all, off, routed) => {
  const takes = all.filter(a => !isOut(a)), full = takes.filter(a => a.out === 'no_room'), good = (text, short) => ({text, short, level: 'good'});
  if (!takes.length) return {text: 'No analyzer takes packets.', short: 'no analyzer', level: 'warn'};
  if (all.length > 1 && takes.length === 1) return good(`Only ${takes[0].id} takes packets, and gets all.`, `all to ${takes[0].id}`);
  if (full.length || routed > 0 && !state.bound && takes.length > 1) {
    const which = full.length ? `${ids(full)} ${are(full)} full` : 'Some are full for moments';
    return good(`${which}: each gets what it has room for, not its weight, so Off by is not measured.`, 'by room, not by weight');
  }
  const due = dueWords(all.filter(isOut), takes.filter(a => a.ramp < 1));
  if (!state.bound) return good(due + '.', routed > 0 ? `all to ${takes[0].id}` : 'nothing to route');
  return {text: `${due}. Off by is measured against what is due.`, short: `${count(off)} of ±${plural(Math.ceil(state.bound), 'message')} off`, level: off > state.bound + 0.5 ? 'warn' : 'good'};
};

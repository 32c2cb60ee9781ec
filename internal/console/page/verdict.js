// What the state means for a person: one sentence, the four answers, and the warnings with
// their recipes in the runbook.
import {state, merged} from './store.js';
import {count, rate, percent, plural, seconds, span, clock, words} from './format.js';

const outs = {
  breaker_open: 'its breaker is open', asked_pause: 'it asked for a pause', no_room: 'its queue is full', drain: 'an operator drains it',
  maint: 'an operator put it in maintenance', avoided: 'packets that it failed with avoid it', probing: 'it is on trial with few packets',
};

// why says why an analyzer gets no packets, or too few; it is empty while it gets its share.
export const why = a => {
  if (a.drain?.running && a.state !== 'maint') return outs.drain;
  if (a.state === 'maint') return outs.maint;
  if (a.state === 'drain') return outs.drain;
  if (outs[a.out]) return outs[a.out];
  return a.health === 'healthy' ? '' : a.health === 'down' ? 'it does not answer' : a.health === 'warming up' ? 'it returns with a part of its share' : a.health;
};

// isOut reports whether an analyzer gets no new packets.
export const isOut = a => a.state !== 'ready' || ['breaker_open', 'asked_pause', 'drain', 'maint'].includes(a.out) || a.health === 'down';

// level is the kind of an analyzer's state: good, warn, info (an operator's doing) or bad.
export const level = a => a.state !== 'ready' ? 'info' : isOut(a) ? 'bad' : why(a) ? 'warn' : 'good';

export const stateWords = a => {
  if (a.state === 'maint') return 'maintenance';
  if (a.drain?.running) return 'draining';
  if (a.state === 'drain') return 'drained';
  if (a.out === 'no_room' && a.health === 'healthy') return 'full';
  return a.health === 'down' ? 'out: down' : a.health;
};

// recent returns the mean of a value over the last ten seconds, so that what comes in bursts does
// not come and go on the page.
const recent = name => {
  const known = (state.columns[name] ?? []).slice(-10).filter(v => v !== null);
  return known.length ? known.reduce((a, b) => a + b) / known.length : state.snapshot?.values[name];
};

// refusals returns the refused packets a second by reason, the highest first.
export const refusals = () => Object.keys(state.snapshot?.values ?? {}).filter(name => name.startsWith('refused_'))
  .map(name => ({reason: name.slice(8, -6), rate: recent(name)})).filter(r => r.rate > 0).sort((a, b) => b.rate - a.rate);

const faultsOfEmitters = ['malformed', 'invalid_packet', 'too_large', 'not_found', 'method_not_allowed', 'unsupported_encoding', 'slow_request', 'unauthorized', 'emitter_not_allowed', 'too_many_failures'];

const limited = ['rate_limited'];

const list = names => names.length < 4 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;

const sum = entries => entries.reduce((all, r) => all + r.rate, 0);

// warnings returns what is not as it should be, the worst first: {level, text, recipe}.
export const warnings = () => {
  const v = state.snapshot?.values ?? {}, s = state.status, found = [], all = merged();
  const warn = (applies, level, text, recipe) => applies && found.push({level, text, recipe});
  const refused = refusals(), out = all.filter(a => level(a) === 'bad');
  const unaccounted = v.unaccounted_messages || 0;
  warn(unaccounted, 'bad', `${plural(Math.abs(unaccounted), 'message')} ${unaccounted > 0 ? 'are unaccounted for' : 'are counted too often'}: the ledger does not balance.`, 'UnaccountedMessages');
  warn(s?.ledger.damaged.messages, 'bad', `${plural(s?.ledger.damaged.messages, 'stored message')} cannot be read from the disk.`, 'JournalDamaged');
  warn(state.snapshot?.texts?.state === 'panic', 'bad', `No analyzer takes packets: ${state.snapshot?.texts?.reason}.`, 'NoHealthyAnalyzer');
  const own = refused.filter(r => !faultsOfEmitters.includes(r.reason) && !limited.includes(r.reason));
  warn(own.length, 'bad', `${rate(sum(own))} packets/s are refused: ${own.map(r => words(r.reason)).join(', ')}. Emitters that try again lose nothing.`, 'PacketsRefused');
  warn(out.length && out.length < all.length, 'warn', `${list(out.map(a => a.id))} ${out.length === 1 ? 'is' : 'are'} out: ${list([...new Set(out.map(why))])}. The others take the share; nothing is lost by that.`, 'AnalyzerDown');
  const letters = recent('dead_lettered_packets_per_s');
  warn(letters > 0, 'warn', `Analyzers refuse ${rate(letters)} packets/s for good; they are kept as dead letters.`, 'DeadLettersGrowing');
  warn(v.journal_utilization > 0.8, 'warn', `The journal is ${percent(v.journal_utilization, 0)} full; at 100 % packets are refused.`, 'JournalNearFull');
  const off = all.filter(a => !isOut(a) && Math.abs(a.deviation) > state.bound + 0.5);
  warn(off.length, 'warn', `${list(off.map(a => a.id))} ${off.length === 1 ? 'is' : 'are'} further off the share than the limit of ${count(state.bound)} messages.`, 'ShareDeviationOverLimit');
  warn(s?.intake === 'paused', 'warn', 'The intake is paused: all packets are refused until it is open again.');
  warn(s?.dispatch === 'paused', 'warn', 'The dispatch is paused: packets wait until it runs again.');
  warn(s?.last_reload && !s.last_reload.successful, 'warn', `The last reload failed, and the configuration before it is in force: ${s?.last_reload?.detail}`, 'ReloadFailed');
  warn(s?.settings?.shared && !s.settings.synchronized, 'warn', `The settings of the cluster are not synchronized; the last known ones hold on: ${s?.settings?.detail}`, 'SettingsNotSynchronized');
  const throttled = refused.filter(r => limited.includes(r.reason)), faulty = refused.filter(r => faultsOfEmitters.includes(r.reason));
  warn(throttled.length, 'info', `${rate(sum(throttled))} packets/s are over the limit of their emitter.`, 'PacketsRefused');
  warn(faulty.length, 'info', `${rate(sum(faulty))} packets/s of emitters are not valid: ${faulty.map(r => words(r.reason)).join(', ')}.`, 'BadPacketsRefused');
  const taken = all.filter(a => a.state !== 'ready');
  warn(taken.length, 'info', `By an operator: ${list(taken.map(a => `${a.id} (${stateWords(a)}${a.drain?.running ? `, ${plural(a.drain.left?.packets ?? 0, 'packet')} left` : ''})`))}.`);
  warn(s?.overrides, 'info', `${plural(s?.overrides, 'setting')} differ${s?.overrides === 1 ? 's' : ''} from the configuration file.`, 'OverridesLinger');
  return found;
};

// quiet reports that nothing came in the last minute, and nothing waits.
export const quiet = () => {
  const recent = (state.columns.accepted_messages_per_s ?? []).slice(-60);
  return recent.length > 0 && recent.every(x => !x) && !state.snapshot?.values.undelivered_packets;
};

// verdict is the sentence of the banner.
export const verdict = found => {
  if (!state.snapshot || !state.status) return {level: 'none', mark: '…', text: 'No data yet.'};
  const bad = found.filter(w => w.level === 'bad'), some = found.filter(w => w.level === 'warn');
  const total = state.snapshot.values.total_analyzers, eligible = state.snapshot.values.healthy_analyzers;
  if (bad.length) return {level: 'bad', mark: '✕', text: bad[0].text};
  if (some.length) return {level: 'warn', mark: '!', text: some[0].text};
  if (quiet()) return {level: 'good', mark: '✓', text: `Ready, and no traffic: ${count(eligible)} of ${plural(total, 'analyzer')} would take packets.`};
  return {level: 'good', mark: '✓', text: `All is well: nothing is lost, ${count(eligible)} of ${plural(total, 'analyzer')} take${total === 1 ? 's' : ''} packets.`};
};

const questions = ['Is anything lost?', 'Who is out, and why?', 'Who presses hardest?', 'When is the backlog gone?'];

// answers are what a person asks first: {question, level, text, more}.
export const answers = () => {
  const v = state.snapshot?.values ?? {}, ledger = state.status?.ledger, b = state.backlog;
  const lost = Math.abs(v.unaccounted_messages || 0) + (ledger?.damaged.messages || 0);
  const letters = ledger?.dead_lettered.packets || 0;
  const out = merged().filter(isOut);
  const first = b?.by_emitter[0], waits = v.undelivered_messages ?? b?.total.messages;
  // The estimate is of the last overview, before which the backlog may have begun to grow.
  const estimate = Math.max(b?.drain_estimate ? seconds(b.drain_estimate) : NaN, v.oldest_age_s < 1 ? 0 : waits / v.delivered_messages_per_s);
  if (!state.snapshot || !ledger) return questions.map(question => ({question, level: 'none', text: 'Not known', more: 'no data yet'}));
  return [
    {question: questions[0], level: lost ? 'bad' : 'good', text: lost ? `${plural(lost, 'message')}` : 'Nothing',
      more: `unaccounted ${count(v.unaccounted_messages)} messages, ${plural(letters, 'dead letter')}`},
    {question: questions[1], level: out.length ? level(out[0]) : 'good', text: out.length ? list(out.map(a => a.id)) : 'Nobody',
      more: out.length ? list([...new Set(out.map(why))]) + (out[0].until ? `, ${out[0].out === 'breaker_open' ? 'next try at' : 'until'} ${clock(out[0].until)}` : '') : `${count(v.healthy_analyzers)} of ${count(v.total_analyzers)} analyzers take packets`},
    {question: questions[2], level: 'good', text: first && waits ? first.emitter : 'Nobody', emitter: first && waits ? first.emitter : '',
      more: first && waits ? `${percent(Math.min(1, first.messages / (b.total.messages || 1)), 0)} of the messages that wait` : 'no messages wait'},
    {question: questions[3], level: !isFinite(estimate) && waits && v.oldest_age_s > 5 ? 'warn' : 'good',
      text: !waits ? 'There is none' : v.oldest_age_s < 1 || estimate < 1 ? 'Within 1 s' : !isFinite(estimate) ? 'Not known' : `In about ${span(estimate)}`,
      more: waits ? `${plural(waits, 'message')}, the oldest ${span(v.oldest_age_s)} old` : 'all that was accepted is delivered'},
  ];
};

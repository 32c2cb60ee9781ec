// What the state means for a person: one sentence, the four answers, and the warnings with
// their recipes in the runbook.
import {state, merged, mean, self, WINDOW} from './store.js';
import {count, perSecond, percent, plural, span, clock, words, sentence, list, are, named} from './format.js';
import {level, reasons, nextTry, isOut, stateWords} from './condition.js';

// recent is a value of the time of the rates, or the last one without history.
export const recent = name => mean(state.columns[name]) ?? state.snapshot?.values[name];

// refusals returns the refused packets a second by reason, the highest first.
export const refusals = () => Object.keys(state.snapshot?.values ?? {}).filter(name => name.startsWith('refused_'))
  .map(name => ({reason: name.slice(8, -6), rate: recent(name)})).filter(r => r.rate > 0).sort((a, b) => b.rate - a.rate);

const faultsOfEmitters = ['malformed', 'invalid_packet', 'too_large', 'not_found', 'method_not_allowed', 'unsupported_media_type', 'unsupported_encoding', 'slow_request', 'unauthorized', 'emitter_not_allowed', 'too_many_failures'];

const sum = entries => entries.reduce((all, r) => all + r.rate, 0);

// MIN_BACKLOG is the age of a packet from which it is a backlog; younger ones are on their way.
const MIN_BACKLOG = 1; // s

// isElsewhere reports that what is old in a shared journal is not here: another distributor holds it.
const isElsewhere = () => {
  const v = state.snapshot?.values;
  return state.status?.journal.shared && v?.oldest_age_s >= MIN_BACKLOG && v.undelivered_messages < MIN_BACKLOG * v.delivered_messages_per_s;
};

const hasBacklog = () => state.snapshot?.values.oldest_age_s >= MIN_BACKLOG && !isElsewhere();

// slope returns by how much a value grew a second over the time of the rates, or NaN while that is
// not known.
const slope = name => {
  const last = (state.columns[name] ?? []).slice(-WINDOW - 1).filter(v => v !== null);
  return last.length > 4 ? (last.at(-1) - last[0]) / (last.length - 1) : NaN;
};

// timeToFull is in how many seconds the journal is full if it fills on as it does now.
const timeToFull = () => {
  const fill = slope('journal_utilization');
  return fill > 0 ? (1 - state.snapshot.values.journal_utilization) / fill : NaN;
};

const lostWarnings = (warn, v, s) => {
  const unaccounted = v.unaccounted_messages || 0;
  warn(unaccounted, 'bad', `${plural(Math.abs(unaccounted), 'message')} ${unaccounted > 0 ? 'are unaccounted for' : 'are counted too often'}: the ledger does not balance.`, 'UnaccountedMessages');
  warn(s?.ledger.damaged.messages, 'bad', `${plural(s?.ledger.damaged.messages, 'stored message')} cannot be read from the disk.`, 'JournalDamaged');
  warn(s?.dead_letters.files_removed, 'bad', `${plural(s?.dead_letters.files_removed, 'file')} of dead letters ${s?.dead_letters.files_removed === 1 ? 'was' : 'were'} removed, the oldest first: there were too many.`, 'DeadLettersLost');
  warn(s?.dead_letters.write_errors, 'bad', `${plural(s?.dead_letters.write_errors, 'write')} of dead letters failed.`, 'DeadLettersLost');
};

// unwritable reports whether the journal refuses packets since it cannot be written.
export const unwritable = refused => /journal_unwritable/.test(state.status?.refusal?.code) || refused.some(r => r.reason === 'journal_unwritable');

const intakeWarnings = (warn, refused) => {
  const s = state.status, now = state.snapshot?.texts ?? {};
  const stops = s?.refusal?.code === 'draining', paused = s?.intake === 'paused';
  warn(stops, 'warn', `The distributor stops: it refuses new packets and delivers the ${plural(state.snapshot?.values.undelivered_packets, 'packet')} that it holds. Emitters that try again lose nothing.`, 'DistributorDown');
  warn(paused, 'warn', 'An operator paused the intake: all packets are refused until it is open again.', 'PacketsRefused');
  warn(s?.dispatch === 'paused', 'warn', 'An operator paused the dispatch: packets wait until it runs again.', 'DeliveryLatencyHigh');
  warn(now.state === 'panic' && !stops, 'bad', sentence(now.reason), 'NoHealthyAnalyzer');
  const own = refused.filter(r => !faultsOfEmitters.includes(r.reason) && r.reason !== 'rate_limited' && !(stops && r.reason === 'draining') && !(paused && r.reason === 'paused'));
  const full = unwritable(own);
  const recipe = full ? s?.journal.shared ? 'StreamsUnwritable' : 'JournalUnwritable' : 'PacketsRefused';
  const reason = full && now.state === 'saturated' ? now.reason.replace(/^packets (are|were) refused:? /, '') : own.map(r => r.reason === 'no_analyzer' && now.state !== 'panic' ? 'no analyzer took packets for a moment' : words(r.reason)).join(', ');
  warn(own.length, 'bad', `${perSecond(sum(own), 'packet')} are refused${recent('accepted_packets_per_s') === 0 ? ', and none is accepted' : ''}: ${reason}. Emitters that try again lose nothing.`, recipe);
  warn(!own.length && now.state === 'saturated' && !stops, full ? 'bad' : 'warn', sentence(now.reason), recipe);
};

const emitterWarnings = (warn, refused) => {
  const throttled = refused.filter(r => r.reason === 'rate_limited'), faulty = refused.filter(r => faultsOfEmitters.includes(r.reason));
  const of = reasons => list(state.refused.filter(e => e.by_reason.some(r => reasons.includes(r.reason))).map(e => named(e.emitter)));
  warn(throttled.length, 'info', `${perSecond(sum(throttled), 'packet')} are over the limit of their emitter${of(['rate_limited']) && `: ${of(['rate_limited'])}`}.`, 'PacketsRefused');
  warn(faulty.length, 'info', `${perSecond(sum(faulty), 'packet')} of emitters are not valid: ${faulty.map(r => words(r.reason)).join(', ')}${of(faultsOfEmitters) && ` (${of(faultsOfEmitters)})`}.`, 'BadPacketsRefused');
};

const DAY = 86400; // s

// OLD is the age of the oldest packet from which a backlog is worth a line.
const OLD = 10; // s

// backlogWarnings has nothing to add to full analyzers.
const backlogWarnings = (warn, full) => {
  const v = state.snapshot?.values ?? {}, end = state.status && backlogEnd(v);
  warn(isElsewhere() && v.oldest_age_s >= OLD, 'info', `The oldest envelope in the streams waits for ${span(v.oldest_age_s)}: another distributor holds it, or did when it went. Others get it when its claim ends.`, 'EnvelopesRedelivered');
  warn(hasBacklog() && !full && v.oldest_age_s >= OLD && end, end?.level === 'warn' ? 'warn' : 'info', `${plural(v.undelivered_messages, 'message')} wait, the oldest for ${span(v.oldest_age_s)}: ${end?.level === 'warn' ? end.text.replace('Not yet: it', 'the backlog').replace('Not yet: ', '') : 'the backlog shrinks'}.`, 'DeliveryLatencyHigh');
};

const analyzerWarnings = (warn, all) => {
  const out = all.filter(a => level(a) === 'bad'), full = all.filter(a => !isOut(a) && a.out === 'no_room');
  const shrinks = hasBacklog() && backlogEnd(state.snapshot.values).level === 'good';
  warn(out.length && out.length < all.length, 'warn', `${list(out.map(a => a.id))} ${are(out)} out: ${reasons(out)}. The others take the share; nothing is lost by that.`, 'AnalyzerDown');
  warn(full.length, 'warn', `${list(full.map(a => a.id))} ${are(full)} full: ${shrinks ? 'what waits is delivered, and the backlog shrinks' : `more comes than ${full.length === 1 ? 'it delivers' : 'they deliver'}`}.`, 'DeliveryLatencyHigh');
  backlogWarnings(warn, full.length);
  const letters = recent('dead_lettered_packets_per_s');
  warn(letters > 0, 'warn', `Analyzers refuse ${perSecond(letters, 'packet')} for good; they are kept as dead letters.`, 'DeadLettersGrowing');
  const off = all.filter(a => !isOut(a) && Math.abs(a.deviation) > state.bound + 0.5);
  warn(off.length, 'warn', `${list(off.map(a => a.id))} ${are(off)} further off the share than the limit of ${plural(Math.ceil(state.bound), 'message')}.`, 'ShareDeviationOverLimit');
};

// otherWarnings are of the distributors of the cluster that take packets and are not well.
const otherWarnings = warn => {
  const unwell = kind => (state.cluster?.distributors ?? []).filter(d => !d.answers && d.ready && d.state === kind);
  const said = some => `${list(some.map(d => d.name))} ${are(some)} ${some[0]?.state}: ${list([...new Set(some.map(d => d.reason))])}.`;
  warn(unwell('panic').length, 'bad', said(unwell('panic')), 'NoHealthyAnalyzer');
  warn(unwell('saturated').length, 'warn', said(unwell('saturated')), 'PacketsRefused');
  warn(unwell('degraded').length, 'warn', said(unwell('degraded')), 'AnalyzerDown');
};

const operatorWarnings = (warn, all, s) => {
  warn(s?.last_reload && !s.last_reload.successful, 'warn', `The last reload failed, and the configuration before it is in force: ${s?.last_reload?.detail}`, 'ReloadFailed');
  warn(s?.settings?.shared && !s.settings.synchronized, 'warn', `The settings of the cluster are not synchronized; the last known ones hold on: ${s?.settings?.detail}`, 'SettingsNotSynchronized');
  const gone = (state.cluster?.distributors ?? []).filter(d => !d.ready && !d.answers);
  warn(state.left.length, 'warn', `${list(state.left)} left the cluster, or ${state.left.length === 1 ? 'does' : 'do'} not answer. What ${state.left.length === 1 ? 'it' : 'they'} accepted is delivered by the others.`, 'DistributorDown');
  warn(gone.length, 'warn', `${list(gone.map(d => d.name))} ${are(gone)} not ready. Emitters use the other distributors.`, 'DistributorDown');
  const taken = all.filter(a => a.state !== 'ready');
  warn(taken.length, 'info', `By an operator: ${list(taken.map(a => `${a.id} (${stateWords(a)}${a.drain?.running ? `, ${plural(a.drain.left?.packets ?? 0, 'packet')} left` : ''})`))}.`, 'AnalyzerTakenOut');
  warn(s?.overrides, 'info', `${plural(s?.overrides, 'setting')} differ${s?.overrides === 1 ? 's' : ''} from the configuration file.`, 'OverridesLinger');
};

// warnings returns what is not as it should be, the worst first: {level, text, recipe}.
export const warnings = () => {
  const v = state.snapshot?.values ?? {}, s = state.status, found = [], all = merged(), refused = refusals();
  const warn = (applies, level, text, recipe) => applies && found.push({level, text, recipe});
  lostWarnings(warn, v, s);
  intakeWarnings(warn, refused);
  analyzerWarnings(warn, all);
  const left = v.journal_utilization > 0.8 && timeToFull();
  warn(left !== false, 'warn', `The journal is ${percent(v.journal_utilization, 0)} full${s?.journal.limit ? ` (${s.journal.limit})` : ''}: ${left < DAY && !refused.length ? `at this rate it is full ${left < 1 ? 'within 1\u00a0s' : `in about ${span(left)}`}, and packets are refused then` : 'packets are refused while it is full'}.`, 'JournalNearFull');
  emitterWarnings(warn, refused);
  operatorWarnings(warn, all, s);
  otherWarnings(warn);
  return ['bad', 'warn', 'info'].flatMap(kind => found.filter(w => w.level === kind));
};

// quiet reports that nothing came in the last minute or since the start, and nothing waits.
export const quiet = () => {
  const now = state.snapshot?.values, recent = state.columns.accepted_messages_per_s?.slice(-60) ?? [];
  return now && state.status && (recent.length ? recent.every(x => !x) : !state.status.ledger.accepted.packets) && !now.accepted_messages_per_s && !refusals().length && !now.undelivered_packets;
};

const marks = {bad: '✕', warn: '!'};

// verdict is the sentence of the banner.
export const verdict = found => {
  if (!state.snapshot || !state.status) return {level: 'none', mark: '…', text: 'No data yet.'};
  const total = state.snapshot.values.total_analyzers, eligible = state.snapshot.values.healthy_analyzers;
  if (marks[found[0]?.level]) return {level: found[0].level, mark: marks[found[0].level], text: found[0].text};
  const c = state.cluster, analyzers = `${count(eligible)} of ${plural(total, 'analyzer')}`;
  if (quiet() && !c?.sum.rates.accepted_messages_per_s) return {level: 'good', mark: '✓', text: `Ready, and no traffic: ${analyzers} would take packets.`};
  const nothing = refusals().length ? 'nothing that was accepted is lost' : 'nothing is lost';
  return {level: 'good', mark: '✓', text: `All is well: ${nothing}, ${c ? `${c.sum.ready} of ${plural(c.sum.distributors, 'distributor')} and ` : ''}${analyzers} take${total === 1 && !c ? 's' : ''} packets.`};
};

// refusedLately says how many packets were refused in the time of the history, and what of them.
const refusedLately = () => {
  let again = 0, faulty = 0;
  for (const name in state.columns) {
    const packets = name.startsWith('refused_') ? state.columns[name].reduce((a, b) => a + b, 0) : 0;
    if (faultsOfEmitters.includes(name.slice(8, -6))) faulty += packets;
    else again += packets;
  }
  return [again >= 0.5 && `; ${plural(Math.round(again), 'packet')} refused in 15\u00a0min: emitters must send them again`,
    faulty >= 0.5 && `; ${plural(Math.round(faulty), 'packet')} refused as not valid`].filter(Boolean).join('');
};

const lost = (v, s) => {
  const ledger = state.cluster?.sum.ledger ?? s.ledger, unaccounted = state.cluster ? ledger.unaccounted_messages : v.unaccounted_messages;
  const messages = Math.abs(unaccounted || 0) + ledger.damaged.messages, files = s.dead_letters.files_removed;
  const letters = ledger.dead_lettered.packets, refused = refusedLately();
  return {level: messages || files ? 'bad' : 'good',
    text: messages ? plural(messages, 'message') : files ? `${plural(files, 'file')} of dead letters` : letters || refused ? 'Nothing that was accepted' : `Nothing${state.restartedAt ? ' since the restart' : ''}`,
    more: `since the ${state.restartedAt ? 'restart only' : 'start'}: ${count(unaccounted)}\u00a0messages unaccounted, ${plural(letters, 'dead letter')}${letters ? ' kept' : ''}${refused}`};
};

// together names analyzers by their state.
const together = all => [...Map.groupBy(all, stateWords)].map(([words, some]) => `${list(some.map(a => a.id))} ${are(some)} ${words}`).join('; ');

const outOf = v => {
  const all = merged(), out = all.filter(isOut), back = all.filter(a => !isOut(a) && level(a) === 'warn');
  const next = out[0]?.until ? `, ${out[0].out === 'breaker_open' ? nextTry(out[0]) : `until ${clock(out[0].until)}`}` : '';
  if (out.length) return {level: level(out[0]), text: list(out.map(a => a.id)), more: reasons(out) + next};
  if (!all.length) return {level: 'warn', text: 'There is no analyzer', more: 'add one, or wait until one registers'};
  return {level: 'good', text: 'Nobody', more: `${count(v.healthy_analyzers)} of ${plural(v.total_analyzers, 'analyzer')} take${v.total_analyzers === 1 ? 's' : ''} packets` + (back.length ? `; ${together(back)}` : '')};
};

// RECENT is for how long a refused emitter counts as one that presses.
const RECENT = 20; // s

// waiting returns the messages of a backlog that are not sent yet: the emitters of others are not known.
export const waiting = b => Math.max(1, b.total.messages - b.by_place.reduce((sum, p) => sum + (p.place === 'in_flight') * p.messages, 0));

// presser names the emitter that sends the most or, while more is refused than accepted, that of which
// the most is refused.
const presser = () => {
  const b = state.backlog, sends = b?.senders?.[0], waits = hasBacklog() && b?.by_emitter[0];
  const refused = state.refused.filter(e => state.snapshot.time - Date.parse(e.last) < 1000 * RECENT), refusedFor = e => list(e.by_reason.map(r => words(r.reason)));
  const most = sum(refusals()) > recent('accepted_packets_per_s') && refused[0];
  const {emitter} = most || sends || waits || refused[0] || {};
  if (!emitter && refusals().length) return {text: 'Not known', more: 'packets are refused before it is read whose they are'};
  if (!emitter && recent('accepted_messages_per_s') > 0) return {text: 'Not known yet', more: 'it is being measured'};
  if (!emitter) return {text: 'Nobody', more: hasBacklog() ? 'no messages come in; all that waits is sent, and not yet answered' : 'no messages come in'};
  const share = b?.senders?.find(e => e.emitter === emitter)?.share, own = refused.find(e => e.emitter === emitter), other = !own && refused[0];
  return {text: emitter, emitter, more: [
    share && `sends about ${perSecond(share * recent('accepted_messages_per_s'), 'message')}, ${percent(share, 0)} of all`,
    waits && `${waits.emitter === emitter ? '' : named(waits.emitter) + ' '}has ${percent(Math.min(1, waits.messages / waiting(b)), 0)} of what waits`,
    own && `some refused lately: ${refusedFor(own)}`,
    other && `some of ${named(other.emitter)} refused lately: ${refusedFor(other)}`,
  ].filter(Boolean).join('; ')};
};

const backlogEnd = v => {
  const waits = v.undelivered_messages, more = `${plural(waits, 'message')}, the oldest ${span(v.oldest_age_s)} old`;
  if (!hasBacklog()) return {level: 'good', text: 'There is none', more: waits ? `${plural(waits, 'message')} on the way` : isElsewhere() ? 'this distributor holds nothing' : 'nothing waits'};
  const out = recent('delivered_messages_per_s') || 0, atRest = 0.02 * out;
  const known = slope('undelivered_messages'), growth = isNaN(known) ? recent('accepted_messages_per_s') - out : known;
  if (growth > atRest || !out) {
    // The files of a younger backlog are about to be removed.
    const left = v.oldest_age_s >= OLD ? timeToFull() : NaN; // s
    const full = left >= OLD && left < DAY ? `; the journal is full in about ${span(left)}` : '';
    return {level: 'warn', text: growth > 0 ? 'Not yet: it grows' : 'Not yet: nothing is delivered', more: more + (growth > 0 ? `; ${perSecond(growth, 'message')} more in than out` : '') + full};
  }
  if (growth > -atRest) return {level: 'warn', text: 'Not yet: it stays as it is', more: more + '; as many come in as go out'};
  const estimate = waits / -growth;
  return {level: 'good', text: isNaN(estimate) ? 'Not known yet' : estimate < 1 ? 'Within 1\u00a0s' : `In about ${span(estimate)}`, more: isNaN(estimate) ? more : more + `; ${perSecond(-growth, 'message')} more out than in`};
};

// questions are what a person asks first. In a cluster only the first answer is that of the whole.
const questions = ['Is anything lost?', 'Who is out, and why?', 'Who presses hardest?', 'When is the backlog gone?'];

// answers are what a person asks first: {question, level, text, more}. Those of a page that is not
// live are of the past.
export const answers = () => {
  const v = state.snapshot?.values, s = state.status;
  if (!v || !s) return questions.map(question => ({question, level: 'none', text: 'Not known', more: 'no data yet'}));
  const found = [lost(v, s), outOf(v), presser(), backlogEnd(v)].map((answer, i) => ({question: questions[i], scope: self() && (i ? self() : 'the cluster'), level: 'good', ...answer}));
  if (state.link === 'live') return found;
  return found.map(a => ({question: a.question, scope: a.scope, level: 'none', text: 'Not known now', more: `${clock(state.snapshot.time)}: ${a.text}, ${a.more}`}));
};

// What the state means for a person: one sentence, the four answers, and the warnings with
// their recipes in the runbook.
import {state, merged, mean} from './store.js';
import {count, rate, percent, plural, seconds, span, clock, words, sentence} from './format.js';

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

// reasons says why analyzers are out.
const reasons = out => list([...new Set(out.map(why))]).replaceAll('its breaker is', out.length > 1 ? 'their breakers are' : 'its breaker is');

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

// recent is a value of ten seconds, or the last one without history.
export const recent = name => mean(state.columns[name]) ?? state.snapshot?.values[name];

// refusals returns the refused packets a second by reason, the highest first.
export const refusals = () => Object.keys(state.snapshot?.values ?? {}).filter(name => name.startsWith('refused_'))
  .map(name => ({reason: name.slice(8, -6), rate: recent(name)})).filter(r => r.rate > 0).sort((a, b) => b.rate - a.rate);

const faultsOfEmitters = ['malformed', 'invalid_packet', 'too_large', 'not_found', 'method_not_allowed', 'unsupported_media_type', 'unsupported_encoding', 'slow_request', 'unauthorized', 'emitter_not_allowed', 'too_many_failures'];

const list = names => names.length < 4 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;

const sum = entries => entries.reduce((all, r) => all + r.rate, 0);

const are = names => names.length === 1 ? 'is' : 'are';

// MIN_BACKLOG is the age of a packet from which it is a backlog; younger ones are on their way.
const MIN_BACKLOG = 1; // s

// isElsewhere reports that what is old in a shared journal is not here: another distributor holds it.
const isElsewhere = () => {
  const v = state.snapshot?.values;
  return state.status?.journal.shared && v?.oldest_age_s >= MIN_BACKLOG && v.undelivered_messages < MIN_BACKLOG * v.delivered_messages_per_s;
};

const hasBacklog = () => state.snapshot?.values.oldest_age_s >= MIN_BACKLOG && !isElsewhere();

// SLOPE is the time over which it is seen whether the backlog grows.
const SLOPE = 15; // s

// slope returns by how much a value grew a second, or NaN while that is not known.
const slope = name => {
  const last = (state.columns[name] ?? []).slice(-SLOPE).filter(v => v !== null);
  return last.length > 4 ? (last.at(-1) - last[0]) / (last.length - 1) : NaN;
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
  const reason = full && now.state === 'saturated' ? now.reason.replace(/^packets (are|were) refused:? /, '') : own.map(r => words(r.reason)).join(', ');
  warn(own.length, 'bad', `${rate(sum(own))} packets/s are refused: ${reason}. Emitters that try again lose nothing.`, recipe);
  warn(!own.length && now.state === 'saturated' && !stops, full ? 'bad' : 'warn', sentence(now.reason), recipe);
};

const emitterWarnings = (warn, refused) => {
  const throttled = refused.filter(r => r.reason === 'rate_limited'), faulty = refused.filter(r => faultsOfEmitters.includes(r.reason));
  // U+2068 and U+2069 isolate an id from the direction of the sentence.
  const of = reasons => list(state.refused.filter(e => e.by_reason.some(r => reasons.includes(r.reason))).map(e => `\u2068${e.emitter}\u2069`));
  warn(throttled.length, 'info', `${rate(sum(throttled))} packets/s are over the limit of their emitter${of(['rate_limited']) && `: ${of(['rate_limited'])}`}.`, 'PacketsRefused');
  warn(faulty.length, 'info', `${rate(sum(faulty))} packets/s of emitters are not valid: ${faulty.map(r => words(r.reason)).join(', ')}${of(faultsOfEmitters) && ` (${of(faultsOfEmitters)})`}.`, 'BadPacketsRefused');
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
  warn(letters > 0, 'warn', `Analyzers refuse ${rate(letters)} packets/s for good; they are kept as dead letters.`, 'DeadLettersGrowing');
  const off = all.filter(a => !isOut(a) && Math.abs(a.deviation) > state.bound + 0.5);
  warn(off.length, 'warn', `${list(off.map(a => a.id))} ${are(off)} further off the share than the limit of ${count(state.bound)} messages.`, 'ShareDeviationOverLimit');
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
  warn(v.journal_utilization > 0.8, 'warn', `The journal is ${percent(v.journal_utilization, 0)} full; packets are refused while it is full.`, 'JournalNearFull');
  emitterWarnings(warn, refused);
  operatorWarnings(warn, all, s);
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
  if (quiet()) return {level: 'good', mark: '✓', text: `Ready, and no traffic: ${count(eligible)} of ${plural(total, 'analyzer')} would take packets.`};
  return {level: 'good', mark: '✓', text: `All is well: nothing is lost, ${count(eligible)} of ${plural(total, 'analyzer')} take${total === 1 ? 's' : ''} packets.`};
};

const lost = (v, s) => {
  const messages = Math.abs(v.unaccounted_messages || 0) + s.ledger.damaged.messages, files = s.dead_letters.files_removed;
  return {level: messages || files ? 'bad' : 'good', text: messages ? plural(messages, 'message') : files ? `${plural(files, 'file')} of dead letters` : 'Nothing',
    more: `unaccounted ${count(v.unaccounted_messages)} messages, ${plural(s.ledger.dead_lettered.packets, 'dead letter')}`};
};

// together names analyzers by their state.
const together = all => [...Map.groupBy(all, stateWords)].map(([words, some]) => `${list(some.map(a => a.id))} ${are(some)} ${words}`).join('; ');

const outOf = v => {
  const all = merged(), out = all.filter(isOut), back = all.filter(a => !isOut(a) && level(a) === 'warn');
  const next = out[0]?.until ? `, ${out[0].out === 'breaker_open' ? 'next try at' : 'until'} ${clock(out[0].until)}` : '';
  if (out.length) return {level: level(out[0]), text: list(out.map(a => a.id)), more: reasons(out) + next};
  if (!all.length) return {level: 'warn', text: 'There is no analyzer', more: 'add one, or wait until one registers'};
  return {level: 'good', text: 'Nobody', more: `${count(v.healthy_analyzers)} of ${count(v.total_analyzers)} analyzers take packets` + (back.length ? `; ${together(back)}` : '')};
};

// RECENT is for how long a refused emitter counts as one that presses.
const RECENT = 20; // s

// waiting returns the messages of a backlog that are not sent yet: the emitters of others are not known.
export const waiting = b => Math.max(1, b.total.messages - b.by_place.reduce((sum, p) => sum + (p.place === 'in_flight') * p.messages, 0));

const presser = v => {
  const b = state.backlog, first = hasBacklog() && b?.by_emitter[0];
  const refused = state.refused.filter(e => state.snapshot.time - Date.parse(e.last) < 1000 * RECENT);
  const refusedFor = e => list(e.by_reason.map(r => words(r.reason)));
  if (first) {
    const too = refused.find(e => e.emitter === first.emitter);
    return {text: first.emitter, emitter: first.emitter, more: `${percent(Math.min(1, first.messages / waiting(b)), 0)} of the messages that wait` + (too ? `; some of its packets are refused: ${refusedFor(too)}` : '')};
  }
  if (refused.length) return {text: refused[0].emitter, emitter: refused[0].emitter, more: `${plural(refused[0].packets, 'packet')} refused lately: ${refusedFor(refused[0])}`};
  if (refusals().length) return {text: 'Not known', more: 'packets are refused before it is read whose they are'};
  return {text: 'Nobody', more: hasBacklog() ? 'all that waits is sent, and not yet answered' : v.undelivered_packets ? 'no packet waits for as long as a second' : 'no messages wait'};
};

const backlogEnd = v => {
  const waits = v.undelivered_messages, more = `${plural(waits, 'message')}, the oldest ${span(v.oldest_age_s)} old`;
  if (!hasBacklog()) return {level: 'good', text: 'There is none', more: waits ? `${plural(waits, 'message')} on the way` : isElsewhere() ? 'this distributor holds nothing' : state.status.ledger.dead_lettered.packets ? 'nothing waits' : 'all that was accepted is delivered'};
  const out = recent('delivered_messages_per_s') || 0, atRest = 0.02 * out;
  // What came before the intake stopped is no growth now.
  const growth = mean(state.columns.accepted_messages_per_s, 3) === 0 ? -out : slope('undelivered_messages'), fill = slope('journal_utilization');
  if (growth > atRest || !out) {
    // The files of a younger backlog are about to be removed.
    const left = fill > 0 && v.oldest_age_s >= OLD ? (1 - v.journal_utilization) / fill : NaN; // s
    const full = left >= OLD && left < DAY ? `; the journal is full in about ${span(left)}` : '';
    return {level: 'warn', text: growth > 0 ? 'Not yet: it grows' : 'Not yet: nothing is delivered', more: more + (growth > 0 ? `, ${rate(growth)} more a second on average` : '') + full};
  }
  if (growth > -atRest) return {level: 'warn', text: 'Not yet: it stays as it is', more: more + '; as many come in as go out'};
  const estimate = isNaN(growth) ? seconds(state.backlog?.drain_estimate) : waits / -growth;
  return {level: 'good', text: isNaN(estimate) ? 'Not known yet' : estimate < 1 ? 'Within 1 s' : `In about ${span(estimate)}`, more};
};

const questions = ['Is anything lost?', 'Who is out, and why?', 'Who presses hardest?', 'When is the backlog gone?'];

// answers are what a person asks first: {question, level, text, more}. Those of a page that is not
// live are of the past.
export const answers = () => {
  const v = state.snapshot?.values, s = state.status;
  if (!v || !s) return questions.map(question => ({question, level: 'none', text: 'Not known', more: 'no data yet'}));
  const found = [lost(v, s), outOf(v), presser(v), backlogEnd(v)].map((answer, i) => ({question: questions[i], level: 'good', ...answer}));
  if (state.link === 'live') return found;
  return found.map(a => ({question: a.question, level: 'none', text: 'Not known now', more: `${clock(state.snapshot.time)}: ${a.text}, ${a.more}`}));
};

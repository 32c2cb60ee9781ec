// What the page knows of the distributor: the history, read once, and the stream of snapshots and
// overviews.
import {get, request, events} from './api.js';

const LENGTH = 900; // snapshots that are kept, as by the distributor
const MAX_EVENTS = 200;
const PATIENCE = 500; // until a page without data is drawn, in ms; data mostly come before
const IDLE = 10000; // of a stream that has an event a second, in ms

export const state = {
  link: 'connecting', // connecting, live, lost, expired, hidden
  lastSeen: 0, retryAt: 0, problem: null,
  session: null, status: null, analyzers: [], bound: NaN, revision: 0, backlog: null, refused: [], events: [], lastEvent: 0,
  settings: {}, overrides: [], limits: null, cluster: null, left: [], // the distributors that were in the cluster lately
  snapshot: null, boot: '', lastID: '', restartedAt: 0,
  times: [], columns: {}, parts: {__proto__: null}, // parts: columns by analyzer
};

let render = () => {};
let scheduled = false;
let opening = true; // until the first draw with data

// awaited reports whether a page that opens is about to have the data of its first draw.
const awaited = () => !['lost', 'expired', 'hidden'].includes(state.link) && !(state.session && state.status && state.snapshot);

// shown waits until the browser has shown the first draw: what that does not need is read after it.
const {promise: shown, resolve: isShown} = Promise.withResolvers();

// changed draws the page in the next frame, while it opens only once it has data, or anyway.
export const changed = anyway => {
  if (scheduled || opening && awaited() && !anyway) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    render();
    if (!opening || awaited()) return;
    opening = false;
    requestAnimationFrame(() => setTimeout(isShown));
  });
};

export const mayChange = () => state.link === 'live' && state.session?.role === 'operate';

const push = (columns, values, length) => {
  for (const name in values) columns[name] ??= Array(length).fill(null);
  for (const name in columns) {
    columns[name].push(values[name] ?? null);
    if (columns[name].length > LENGTH) columns[name].shift();
  }
};

// early are the snapshots received before the history; null once that is read.
let early = [];

const append = snapshot => {
  const length = state.times.length;
  state.times.push(snapshot.time / 1000);
  if (length === LENGTH) state.times.shift();
  push(state.columns, snapshot.values, length);
  for (const id in snapshot.analyzers) state.parts[id] ??= {};
  for (const id in state.parts) {
    push(state.parts[id], snapshot.analyzers[id] ?? {}, length);
    if (!(id in snapshot.analyzers) && Object.values(state.parts[id]).flat().every(v => v === null)) delete state.parts[id];
  }
};

// receive adds a snapshot.
export const receive = snapshot => {
  if (early) early.push(snapshot);
  else append(snapshot);
  state.snapshot = snapshot;
  state.lastSeen = Date.now();
  changed();
};

const loadHistory = async signal => {
  await shown;
  const history = await get('/v1/history', signal);
  state.times = history.times.map(t => t / 1000);
  state.columns = history.columns;
  state.parts = {__proto__: null, ...history.analyzers};
  for (const s of early) if (s.boot !== history.boot || s.seq > history.seq) append(s);
  early = null;
  changed();
};

// meet notes which start of the process is seen.
const meet = boot => {
  if (state.boot && boot !== state.boot) {
    state.restartedAt = Date.now();
    state.events = [];
    state.lastEvent = 0;
    state.revision = 0;
  }
  state.boot = boot;
};

// LATELY is for how long a distributor that left the cluster is named, in ms.
const LATELY = 900000;

const members = {}; // when each distributor was in the cluster last, by name

// noteMembers notes which distributors were in the cluster and are not.
const noteMembers = cluster => {
  const now = Date.now(), present = (cluster?.distributors ?? []).map(d => d.name);
  for (const name of present) members[name] = now;
  for (const name in members) if (now - members[name] > LATELY) delete members[name];
  state.left = cluster ? Object.keys(members).filter(name => !present.includes(name)).sort() : [];
};

// adopt takes over an overview unless it is older than what is known.
const adopt = async overview => {
  meet(overview.status.boot);
  if (overview.status.boot === state.status?.boot && overview.status.revision < state.status.revision) return;
  const {status, analyzers, backlog, refused_emitters: refused, cluster = null} = overview;
  noteMembers(cluster);
  state.version ??= status.version; // of the page
  Object.assign(state, {status, cluster, backlog, refused, analyzers: analyzers.analyzers, bound: analyzers.bound_messages});
  changed();
  await shown;
  await readRest(overview.last_event).catch(fail);
};

// readRest reads what changes seldom: events, and settings at a new revision.
const readRest = async last => {
  if (last !== state.lastEvent) {
    const list = await get(`/v1/events?after=${state.lastEvent}&limit=10000`);
    if (list.last > state.lastEvent) {
      state.events = state.events.concat(list.events.filter(e => e.id > state.lastEvent)).slice(-MAX_EVENTS);
      state.lastEvent = list.last;
    }
  }
  const {revision} = state.status;
  if (revision !== state.revision) {
    state.revision = revision; // so that the next overview does not read them as well
    const [settings, overrides, limits] = await Promise.all([get('/v1/settings'), get('/v1/overrides'), get('/v1/limits')]).catch(problem => {
      state.revision = 0;
      throw problem;
    });
    Object.assign(state, {settings: settings.settings, overrides: overrides.overrides, limits});
  }
  changed();
};

// self is the name of the distributor of the page among those of its cluster; without one it is empty.
export const self = () => state.cluster?.answered_by ?? '';

// refresh reads what an overview has, for a change to be seen at once.
export const refresh = async () => {
  const [status, analyzers, backlog] = await Promise.all([get('/v1/status'), get('/v1/analyzers'), get('/v1/backlog?top=10')]);
  await adopt({status, analyzers, backlog, refused_emitters: state.refused, cluster: state.cluster, last_event: NaN});
};

// fail notes a refused read: a session that has ended ends the stream as well.
const fail = problem => {
  if (problem.status !== 401) return;
  state.session = null;
  state.link = 'expired';
  stop?.abort();
  changed();
};

let stop = null; // of the open stream
let wake = null; // ends a pause

const pause = ms => new Promise(resolve => {
  wake = resolve;
  if (ms) setTimeout(resolve, ms);
});

// once reads the stream until it ends: it begins with all that the page needs to be of use. The
// history is read once it is.
const once = async () => {
  const {signal} = stop = new AbortController();
  let idle, reset = false;
  const beat = () => {
    clearTimeout(idle);
    idle = setTimeout(() => stop.abort(), IDLE);
  };
  const follow = () => events('/v1/stream?overview=true', {
    signal, lastID: early ? '' : state.lastID, onBytes: beat,
    onOpen: () => {
      Object.assign(state, {link: 'live', problem: null, lastSeen: Date.now()});
      changed();
    },
    onEvent: ({type, id, data}) => {
      if (type === 'reset') {
        reset = true;
        early = [];
        stop.abort();
      }
      if (type === 'session') state.session = data;
      if (type === 'overview') adopt(data);
      if (type !== 'snapshot') return;
      state.lastID = id;
      meet(data.boot);
      receive(data);
    },
  });
  try {
    beat();
    early &&= [];
    await Promise.all([follow().then(() => {
      stop.abort();
      signal.throwIfAborted(); // the history may wait for data that do not come
    }), early && loadHistory(signal)]);
  } catch (problem) {
    if (!reset) throw problem;
  } finally {
    clearTimeout(idle);
    stop.abort();
  }
};

// follow keeps the page up to date for as long as it is open.
const follow = async () => {
  for (let failures = 0; ; changed()) {
    if (document.hidden) {
      state.link = 'hidden';
      await pause();
      continue;
    }
    const problem = await once().catch(error => error);
    if (document.hidden) continue;
    if (state.link === 'expired' || problem?.status === 401) {
      fail({status: 401});
      await pause();
      continue;
    }
    if (!problem && early) continue; // a reset: the history is read again
    failures = state.link === 'live' ? 0 : Math.min(failures + 1, 4);
    const wait = Math.max(problem?.retryAfter || 0, 2 ** failures / 2);
    if (problem?.name !== 'AbortError') state.problem = problem ?? null;
    Object.assign(state, {link: 'lost', retryAt: Date.now() + 1000 * wait});
    changed();
    await pause(1000 * wait);
  }
};

export const retry = () => wake?.();

export const logIn = async token => {
  state.session = await request('POST', '/v1/session', {body: {token}});
  retry();
};

export const logOut = async () => {
  await request('DELETE', '/v1/session');
  fail({status: 401});
};

export const start = draw => {
  render = draw;
  document.addEventListener('visibilitychange', () => document.hidden ? stop?.abort() : retry());
  setInterval(() => state.link !== 'live' && changed(), 1000);
  setTimeout(() => opening && changed(true), PATIENCE);
  follow();
};

// WINDOW is the time that all rates of the page are of, in s: much comes in bursts, and the rates are
// to agree with each other.
export const WINDOW = 10;

// mean returns the mean of a column over that time.
export const mean = column => {
  const known = (column ?? []).slice(-WINDOW).filter(v => v !== null);
  return known.length ? known.reduce((a, b) => a + b) / known.length : undefined;
};

// outNow is why an analyzer gets no packets: it is full if its queue was nearly so for ten seconds.
const outNow = (out, parts, limit) => {
  const held = mean(parts.queued_packets) + mean(parts.in_flight_packets);
  return isNaN(held) || out && out !== 'no_room' ? out : limit > 0 && held > 0.8 * limit ? 'no_room' : '';
};

// merged returns the analyzers with the values of the last snapshot, and the rates of ten seconds.
export const merged = () => state.analyzers.map(a => {
  const now = state.snapshot?.analyzers[a.id] ?? {}, texts = state.snapshot?.analyzer_texts?.[a.id] ?? {};
  const s = a.status, parts = state.parts[a.id] ?? {};
  return {
    id: a.id, group: a.group, registered: a.registered, ...a.spec, ...s, drain: a.drain, deviation: -(now.deviation_messages ?? s.deviation_messages), due: now.share ?? s.share,
    queued: now.queued_packets ?? s.queue.packets, sending: now.in_flight_packets ?? s.in_flight.packets, limit: s.queue_limit_packets,
    pace: now.pace_messages_per_s ?? s.pace, p99s: now.latency_p99_s, rate: mean(parts.routed_messages_per_s) ?? now.routed_messages_per_s,
    health: texts.health ?? s.health, out: outNow(texts.out ?? s.out ?? '', parts, s.queue_limit_packets),
  };
});

// recentShares returns the part of the messages that each analyzer got in that time.
export const recentShares = () => {
  const sums = {__proto__: null};
  let all = 0;
  for (const id in state.parts) {
    sums[id] = (state.parts[id].routed_messages_per_s ?? []).slice(-WINDOW).reduce((a, b) => a + (b ?? 0), 0);
    all += sums[id];
  }
  for (const id in sums) sums[id] = all ? sums[id] / all : NaN;
  return sums;
};

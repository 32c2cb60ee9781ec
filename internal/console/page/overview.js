// The first page, in the order of urgency.
import {html, Component} from './html.js';
import {state, changed, merged, recentShares, mayChange, retry, logOut, self, WINDOW} from './store.js';
import {count, rate, perSecond, percent, signed, plural, seconds, span, age, clock, value, words} from './format.js';
import {level, why, nextTry, isOut, stateWords} from './condition.js';
import {answers, refusals, recent, quiet, waiting} from './verdict.js';
import {act, analyzerActions, addAnalyzer, changeSetting, revertSetting, revertAll, reload, replayLetters} from './actions.js';
import {Flow, routing} from './flow.js';
import {Spark, Throughput, Shares} from './charts.js';

const ago = time => age(Math.max(0, (Date.now() - time) / 1000));

const links = {
  connecting: () => 'Connecting…',
  lost: () => `Disconnected${state.lastSeen ? `, last seen ${ago(state.lastSeen)} ago` : ''}. ${state.problem?.status ? state.problem.message + '. ' : ''}Trying again${state.retryAt > Date.now() ? ` in ${age(Math.ceil((state.retryAt - Date.now()) / 1000))}` : ''}.`,
  hidden: () => 'Paused while the tab was hidden.',
};

const isRestarted = () => state.restartedAt && Date.now() - state.restartedAt < 60000;

// Version says that the page is of another version than the distributor, which was upgraded.
const Version = () => state.status && state.status.version !== state.version && html` <b>This page is of version ${state.version}, the distributor of ${state.status.version}.</b> <button type="button" onClick=${() => location.reload()}>Load the new page</button>`;

const MAX_SKEW = 10000; // ms

// Skew says that the clock of the browser is another one: all times of the page are the distributor's.
const Skew = () => state.snapshot && Math.abs(state.lastSeen - state.snapshot.time) > MAX_SKEW && html` <span class="quiet">Times are those of the distributor, where it is ${clock(state.snapshot.time)}.</span>`;

// Link says whether what is shown is the present.
export const Link = () => html`<div class=${'link ' + state.link}>
    ${state.link === 'live'
    ? html`<span class="dot"></span><span>Live<span class="wide">, each second.</span></span>${isRestarted() ? html` <b>The distributor was restarted ${ago(state.restartedAt)} ago.</b>` : ''}<${Version} /><${Skew} />`
    : html`<span class="dot"></span><b>${links[state.link]?.() ?? ''}</b> ${state.link === 'lost' && html`<button type="button" onClick=${retry}>Try now</button>`}`}
  </div>`;

export const Header = () => html`<header>
  <a class="brand" href="#/">Log Streamer</a>
  <span class="where" title="The distributor that serves this page">${location.host}<span class="wide">${state.status && state.link === 'live' && !isRestarted() ? ` · ${state.status.version} · up ${age(seconds(state.status.uptime))} · revision ${state.status.revision}` : ''}</span></span>
  <${Link} />
  <span class="who">${state.session && (state.session.role === 'operate'
    ? html`<span title="This role may make changes.">${state.session.name}: role ${state.session.role}</span>`
    : html`<span class="tag info" title="Changes need a token with the role operate.">${state.session.name}: read only</span>`)}
    ${state.session?.by === 'session' && html` <button type="button" onClick=${logOut}>Log out</button>`}</span>
  <nav aria-label="Pages"><a href="#/packet">Packet</a><a href="#/tap">Tap</a><a href="#/dead-letters">Dead letters</a><a href="#/keys">Keys</a></nav>
</header>`;

const Recipe = ({name}) => name && html` <a href=${'#/runbook/' + name}>What to do<span class="sr"> about ${name}</span></a>`;

// Announcement tells screen readers a change of the state. It has no number that changes with each
// second, since each change is spoken.
const Announcement = ({text}) => html`<p class="sr" role="status" aria-live="polite">${text.replace(/\d[\d.,]*(\s[GM])?\s(?=(%|packet|message|stored|setting|file|write))|(\d+m)?\d+s (?=ago)|(?<=the oldest) for [^:]*|(?<=it is full) (within|in about) [^,]*/g, '')}</p>`;

export const Banner = ({found, now}) => {
  const rest = found.filter(w => w.text !== now.text);
  const recipe = found.find(w => w.text === now.text)?.recipe;
  const v = state.link === 'live' || !state.snapshot ? now : {level: 'none', mark: '?', text: `Not known now. At ${clock(state.snapshot.time)} it was: ${now.text}`};
  return html`<section class=${'banner ' + v.level} aria-label="State">
    <${Announcement} text=${v.text} />${self() && html`<p class="quiet">Cluster of ${plural(state.cluster.distributors.length, 'distributor')}, as ${self()} sees it</p>`}
    <p class="verdict"><span class="mark" aria-hidden="true">${v.mark}</span><span>${v.text}<${Recipe} name=${recipe} /></span></p>
    <dl class="answers">${answers().map(a => html`<div key=${a.question} class=${a.level}><dt>${a.question}${a.scope && ` · ${a.scope}`}</dt>
      <dd><b>${a.emitter ? html`<a href=${'#/emitter/' + encodeURIComponent(a.emitter)}>${a.text}</a>` : a.text}</b><span>${a.more}</span></dd></div>`)}</dl>
    ${rest.length > 0 && html`<ul class="warnings">${rest.map(w => html`<li key=${w.recipe + w.text.slice(0, 9)} class=${w.level}><span class="tag ${w.level}">${{bad: 'critical', warn: 'warning', info: 'note'}[w.level]}</span> ${w.text}<${Recipe} name=${w.recipe} /></li>`)}</ul>`}
  </section>`;
};

const column = name => state.columns[name] ?? [];

const Number = ({title, of, value: text, unit, more, values}) => html`<div class="card number"><h2>${title} <span class="unit">${[of, self()].filter(Boolean).join(', ')}</span></h2>
  <p><b>${text}</b> <span class="unit">${unit}</span></p><${Spark} values=${values} label=${`${title}, the last two minutes`} /><p class="quiet">${more}</p></div>`;

const refusedColumn = () => {
  const columns = Object.keys(state.columns).filter(name => name.startsWith('refused_')).map(name => state.columns[name]);
  return state.times.slice(-120).map((_, i, all) => columns.reduce((sum, c) => sum + (c[c.length - all.length + i] ?? 0), 0));
};

export const Numbers = () => {
  const v = state.snapshot?.values ?? {}, refused = refusals(), sum = refused.reduce((all, r) => all + r.rate, 0);
  const [oldest, unit] = (v.oldest_age_s > 0 ? span(v.oldest_age_s) : state.snapshot ? '0 ms' : '–').split(/\s(.*)/);
  const into = recent('accepted_messages_per_s'), out = recent('delivered_messages_per_s'), last = `last ${span(WINDOW)}`;
  const growth = recent('dead_lettered_packets_per_s') > 0 ? NaN : into - out;
  return html`<section class="numbers" aria-label="Four numbers">
    <${Number} title="In" of=${last} value=${rate(into)} unit="messages/s" values=${column('accepted_messages_per_s')} more=${`${perSecond(recent('accepted_packets_per_s'), 'packet')} accepted`} />
    <${Number} title="Out" of=${last} value=${rate(out)} unit="messages/s" values=${column('delivered_messages_per_s')} more=${growth > 0.05 * into && v.oldest_age_s > 1 ? `${perSecond(growth, 'message')} less than in` : `${perSecond(recent('delivered_packets_per_s'), 'packet')} delivered`} />
    <${Number} title="Oldest packet waits" value=${oldest} unit=${unit} values=${column('oldest_age_s')} more=${`${plural(v.undelivered_packets, 'packet')} (${plural(v.undelivered_messages, 'message')})`} />
    <${Number} title="Refused" of=${last} value=${rate(state.snapshot ? sum : NaN)} unit="packets/s" values=${refusedColumn()} more=${refused.length ? words(refused[0].reason) + (refused.length > 1 ? ` and ${refused.length - 1} more` : '') : state.snapshot ? 'none' : ''} />
  </section>`;
};

// Menu is a button that opens a list of actions, which are made before it opens: Tab may follow at
// once.
class Menu extends Component {
  render({label, actions}, {open}) {
    const close = e => {
      const menu = e.currentTarget.closest('details');
      if (e.type === 'focusout' && menu.contains(e.relatedTarget)) return;
      if (e.type === 'keydown' && e.key !== 'Escape') return;
      if (e.type === 'keydown') {
        e.stopPropagation();
        menu.querySelector('summary').focus();
      }
      menu.open = false;
    };
    return html`<details class="menu" onToggle=${e => this.setState({open: e.target.open})} onFocusOut=${close} onKeyDown=${close}><summary aria-label=${label} onClick=${() => this.setState({open: true})}>Change…</summary>
      <div>${open && actions().map(item => html`<button type="button" key=${item.title} onClick=${e => {
      close(e);
      act(item);
    }}>${item.verb}</button>`)}</div></details>`;
  }
}

// NoControls says why a page has no controls.
export const NoControls = () => state.session?.role === 'read' && html`<p class="quiet">There are no controls: ${state.session.name} has the role read. Changes need a token with the role operate.</p>`;

export const ShareBar = ({share, due, target, kind}) => html`<span class=${'bar ' + kind} aria-hidden="true">
  <i style=${{width: 100 * Math.min(1, share || 0) + '%'}}></i><b style=${{left: 100 * target + '%'}}></b></span>
  <span class="n fixed">${percent(share)}</span><span class="quiet due"> due ${percent(due)}</span>`;

const Row = ({a, share}) => {
  const kind = level(a), reason = a.out === 'breaker_open' && a.until ? nextTry(a) : why(a);
  return html`<tr class=${kind}>
    <th scope="row"><a class="row" href=${'#/analyzer/' + encodeURIComponent(a.id)}>${a.id}</a></th>
    <td class="state"><span class=${'tag ' + kind}>${stateWords(a)}</span>${reason && html`<span class="quiet reason">${reason}${a.health === 'warming up' && !isOut(a) ? `: ${percent(a.ramp, 0)}` : ''}</span>`}</td>
    <td class="share"><${ShareBar} share=${share} due=${a.due} target=${a.target_share} kind=${kind} /></td>
    <td class="n">${isOut(a) || !state.bound ? '–' : signed(a.deviation)}</td>
    <td class="n">${count(a.queued)}<span class="quiet"> + ${count(a.sending)}</span></td>
    <td class="n opt">${rate(a.rate)}</td>
    <td class="n opt">${a.p99s && a.rate ? span(a.p99s) : '–'}</td>
    <td class="menus">${mayChange() && html`<${Menu} label=${`Change ${a.id}`} actions=${() => analyzerActions(a)} />`}</td>
  </tr>`;
};

export class Analyzers extends Component {
  render(_, {filter = ''}) {
    const all = merged(), shown = all.filter(a => (a.id + ' ' + stateWords(a)).toLowerCase().includes(filter.toLowerCase()));
    const shares = recentShares();
    return html`<section class="card" aria-labelledby="analyzers-title">
      <div class="title"><h2 id="analyzers-title">Analyzers <span class="unit">${self() && `as ${self()} sees them`}</span></h2>
        <input id="filter" type="search" placeholder="Filter ( / )" aria-label="Filter analyzers by id or state" value=${filter} onInput=${e => this.setState({filter: e.target.value})} />
        ${mayChange() && html`<button type="button" onClick=${() => act(addAnalyzer())}>Add…</button>`}</div>
      <table class="analyzers"><thead><tr><th scope="col">Analyzer</th><th scope="col">State</th><th scope="col">Share of messages <span class="unit">bar: last 10\u00a0s, tick: weight</span></th>
        <th scope="col" class="n">Off by <span class="unit">messages${state.bound ? `, limit ±${count(Math.ceil(state.bound))}` : ''}</span></th><th scope="col" class="n">Held <span class="unit">packets queued + sent</span></th>
        <th scope="col" class="n opt">Routed <span class="unit">messages/s, last 10\u00a0s</span></th><th scope="col" class="n opt">p99 <span class="unit">to delivery</span></th><th scope="col"><span class="sr">Actions</span></th></tr></thead>
      <tbody>${shown.map(a => html`<${Row} key=${a.id} a=${a} share=${shares[a.id]} />`)}</tbody></table>
      ${!shown.length && html`<p class="quiet">${all.length ? `No analyzer matches “${filter}”.` : state.status ? 'There is no analyzer.' : 'No data yet.'}</p>`}
      <p class="quiet">${state.status && all.length > 0 && routing().text}</p><${NoControls} /><p><a href="#/scale">How many analyzers are needed</a></p>
    </section>`;
  }
}

const places = {journal: 'in the journal', router: 'at the router', queue: 'in queues of analyzers', in_flight: 'sent, not yet answered'};

export const Backlog = () => {
  const b = state.backlog, sums = {};
  for (const p of b?.by_place ?? []) {
    const sum = sums[p.place] ??= {packets: 0, messages: 0};
    sum.packets += p.packets;
    sum.messages += p.messages;
  }
  return html`<section class="card" id="backlog" tabindex="-1" aria-labelledby="backlog-title"><h2 id="backlog-title">Backlog</h2>
    <table><thead><tr><th scope="col">Place</th><th scope="col" class="n">Packets</th><th scope="col" class="n">Messages</th></tr></thead>
      <tbody>${Object.keys(places).map(p => html`<tr key=${p}><th scope="row">${places[p]}</th><td class="n">${count(sums[p]?.packets ?? (b ? 0 : NaN))}</td><td class="n">${count(sums[p]?.messages ?? (b ? 0 : NaN))}</td></tr>`)}</tbody></table>
    <table><thead><tr><th scope="col">Emitter</th><th scope="col">Part of what waits</th><th scope="col" class="n">Messages</th></tr></thead>
      <tbody>${(b?.by_emitter ?? []).map(e => html`<tr key=${e.emitter}><th scope="row"><a class="id" href=${'#/emitter/' + encodeURIComponent(e.emitter)}>${e.emitter}</a></th>
        <td class="share"><span class="bar" aria-hidden="true"><i style=${{width: 100 * Math.min(1, e.messages / waiting(b)) + '%'}}></i></span></td>
        <td class="n">${count(e.messages)}${e.error_messages ? html`<span class="quiet"> ±${count(e.error_messages)}</span>` : ''}</td></tr>`)}</tbody></table>
    ${b && !b.by_emitter.length && html`<p class="quiet">No emitter has messages that wait.</p>`}
  </section>`;
};

const Refusals = () => {
  const list = refusals(), letters = state.status?.ledger.dead_lettered.packets;
  return html`<section class="card" id="refusals" tabindex="-1" aria-labelledby="refusals-title"><h2 id="refusals-title">Refusals and dead letters</h2>
    ${list.length ? html`<table><thead><tr><th scope="col">Reason</th><th scope="col" class="n">Packets/s <span class="unit">last 10 s</span></th></tr></thead>
      <tbody>${list.map(r => html`<tr key=${r.reason}><th scope="row">${words(r.reason)}</th><td class="n">${rate(r.rate)}</td></tr>`)}</tbody></table>` : html`<p class="quiet">${state.snapshot ? 'Nothing is refused now.' : 'No data yet.'}</p>`}
    ${state.refused.length > 0 && html`<table><thead><tr><th scope="col">Emitter, refused lately</th><th scope="col">Reasons</th><th scope="col" class="n">Packets</th></tr></thead>
      <tbody>${state.refused.slice(0, 5).map(e => html`<tr key=${e.emitter}><th scope="row"><a class="id" href=${'#/emitter/' + encodeURIComponent(e.emitter)}>${e.emitter}</a></th><td>${e.by_reason.map(r => words(r.reason)).join(', ')}</td><td class="n">${count(e.packets)}</td></tr>`)}</tbody></table>`}
    <p>${letters ? html`<a href="#/dead-letters">${plural(letters, 'dead letter')}</a> since the start of the process.` : state.status ? 'No dead letters.' : ''}
      ${letters && mayChange() ? html` <button type="button" onClick=${() => act(replayLetters({}))}>Replay…</button>` : ''}</p>
  </section>`;
};

const change = ({old, new: now, path}) => old != null ? `: ${value(old, path)} → ${value(now, path)}` : now != null ? `: ${value(now, path)}` : '';

export const eventText = e => html`<b>${words(e.kind)}</b> ${e.path ?? ''}${change(e)}${e.actor ? ` by ${e.actor}` : ''}${e.result && e.result !== 'applied' && e.result !== e.kind ? `, ${words(e.result)}` : ''}${e.reason ? `: “${e.reason}”` : ''}`;

const Events = () => html`<section class="card" aria-labelledby="events-title"><h2 id="events-title">Events</h2>
  ${state.events.length ? html`<ol class="events">${state.events.slice(-12).reverse().map(e => html`<li key=${e.id}><time datetime=${e.time}>${clock(e.time)}</time> <span>${eventText(e)}</span></li>`)}</ol>` : html`<p class="quiet">Nothing was changed since the start of the process.</p>`}
</section>`;

const expiry = expires => expires ? `, until ${clock(expires)}` : '';

class Settings extends Component {
  render(_, {all, filter = ''}) {
    const keys = Object.keys(state.settings).sort(), changedKeys = keys.filter(k => state.settings[k].overridden);
    const shown = (all ? keys : changedKeys).filter(k => k.includes(filter.toLowerCase()));
    const others = state.overrides.filter(o => !o.path.startsWith('settings/'));
    return html`<section class="card" aria-labelledby="settings-title"><div class="title"><h2 id="settings-title">Settings and overrides</h2>
      ${all && html`<input type="search" placeholder="Filter" aria-label="Filter settings" value=${filter} onInput=${e => this.setState({filter: e.target.value})} />`}
      <button type="button" aria-pressed=${!!all} onClick=${() => this.setState({all: !all})}>${all ? 'Only overrides' : `All ${plural(keys.length, 'setting')}`}</button>
      ${mayChange() && state.overrides.length > 0 && html`<button type="button" onClick=${() => act(revertAll())}>Revert all…</button>`}
      ${mayChange() && html`<button type="button" onClick=${() => act(reload())}>Reload the file…</button>`}</div>
      ${shown.length + (all ? 0 : others.length) ? html`<table class="settings"><thead><tr><th scope="col">Setting</th><th scope="col">Value</th><th scope="col">From</th><th scope="col"><span class="sr">Actions</span></th></tr></thead><tbody>
        ${shown.map(k => html`<tr key=${k}><th scope="row">${k}</th><td>${value(state.settings[k].value, k)}</td><td>${state.settings[k].overridden ? html`<span class="tag info">override${expiry(state.settings[k].expires)}</span>` : state.settings[k].origin}</td>
          <td class="menus">${mayChange() && html`<button type="button" aria-label=${`Change ${k}`} onClick=${() => act(changeSetting(k))}>Change…</button>${state.settings[k].overridden && html` <button type="button" aria-label=${`Revert ${k}`} onClick=${() => act(revertSetting('settings/' + k))}>Revert…</button>`}`}</td></tr>`)}
        ${!all && others.map(o => html`<tr key=${o.path}><th scope="row">${o.path}</th><td>${value(o.value, o.path)}</td><td><span class="tag info">override${expiry(o.expires)}</span><span class="quiet"> in place of ${value(o.base, o.path)}, by ${o.actor}</span></td>
          <td class="menus">${mayChange() && html`<button type="button" aria-label=${`Revert ${o.path}`} onClick=${() => act(revertSetting(o.path))}>Revert…</button>`}</td></tr>`)}
      </tbody></table>` : html`<p class="quiet">${all ? 'No setting matches.' : 'All is as in the configuration file.'}</p>`}
      <p><a href="/v1/config?format=yaml">The configuration that is in force</a> as a file, without secrets.</p>
    </section>`;
  }
}

const curl = () => `curl ${state.status.ingest ?? 'http://HOST:PORT'}/ingest -H 'Content-Type: application/json' -d '{"emitter_id":"web-1","packet_id":"1","messages":[{"timestamp":${state.snapshot.time - state.snapshot.time % 60000},"level":"INFO","message":"hello"}]}'`;

// NoTraffic is for a person who has just started the distributor.
const NoTraffic = () => quiet() && !state.status.ledger.accepted.packets && html`<section class="card"><h2>No traffic</h2><p>No packet has come since the start of the process. This sends one:</p><pre tabindex="0">${curl()}</pre></section>`;

// isWeb reports whether an address that another distributor announced may be a link.
const isWeb = url => /^https?:\/\//i.test(url ?? '');

// withOwnRates returns the distributors and the sum of their rates. Those of this one are the ones
// that the rest of the page shows.
const withOwnRates = c => {
  const own = {accepted_messages_per_s: recent('accepted_messages_per_s'), delivered_messages_per_s: recent('delivered_messages_per_s')};
  const all = c.distributors.map(d => d.answers ? {...d, rates: own} : d);
  return {all, rates: Object.fromEntries(Object.keys(own).map(name => [name, all.reduce((sum, d) => sum + d.rates[name], 0)]))};
};

// Cluster shows the distributors that share the journal, the one that serves this page, and the sum.
const Cluster = () => {
  const c = state.cluster;
  if (!c) return '';
  const {all, rates: sum} = withOwnRates(c);
  const cells = (rates, ledger) => html`<td class="n">${rate(rates.accepted_messages_per_s)}</td><td class="n">${rate(rates.delivered_messages_per_s)}</td>
    <td class="n opt">${count(ledger.accepted.packets)}</td><td class="n opt">${count(ledger.delivered.packets)}</td><td class="n">${count(ledger.queued.packets + ledger.in_flight.packets)}</td>`;
  return html`<section class="card" aria-labelledby="cluster-title"><h2 id="cluster-title">Cluster</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="Distributors"><table><thead><tr><th scope="col">Distributor</th><th scope="col">State</th><th scope="col" class="n">In <span class="unit">messages/s</span></th><th scope="col" class="n">Out <span class="unit">messages/s</span></th>
      <th scope="col" class="n opt">Accepted <span class="unit">packets</span></th><th scope="col" class="n opt">Delivered <span class="unit">packets</span></th><th scope="col" class="n">Held <span class="unit">packets</span></th></tr></thead>
    <tbody>${all.map(d => html`<tr key=${d.name}><th scope="row">${isWeb(d.admin) && !d.answers ? html`<a href=${d.admin}>${d.name}</a>` : d.name}${d.answers && html` <span class="tag info">serves this page</span>`}</th>
      <td class="state"><span class=${'tag ' + (d.state === 'normal' && d.ready ? 'good' : d.ready ? 'warn' : 'bad')}>${d.state}${d.ready ? '' : ', not ready'}</span><span class="quiet reason">${d.version}, revision ${d.revision}${d.synchronized ? '' : ', settings not synchronized'}</span></td>
      ${cells(d.rates, d.ledger)}</tr>`)}
    <tr><th scope="row">Sum</th><td>${c.sum.ready} of ${c.sum.distributors} ready</td>${cells(sum, c.sum.ledger)}</tr></tbody></table></div>
    <p class="quiet">${c.stored ? `The streams hold ${plural(c.stored.envelopes, 'envelope')}, ${percent(c.stored.bytes / (c.stored.limit_bytes || Infinity), 0)} of their limit. ` : ''}Rates are of the last ${span(WINDOW)} here, and as last announced by the others. What follows is of ${self()}.${c.connected ? '' : ` Others may have come or gone unnoticed: ${c.detail}.`}</p>
  </section>`;
};

// Overview is drawn as far as the analyzers until the history has come, so that a page is of use
// before the rest costs time.
export const Overview = () => html`<h1 class="sr">Overview of ${location.host}</h1>
  <${Numbers} /><${NoTraffic} /><${Cluster} /><${Flow} /><${Analyzers} />
  ${state.times.length > 0 && html`<div class="two"><${Throughput} /><${Shares} /></div>
  <div class="two"><${Backlog} /><div class="stack"><${Refusals} /><${Events} /></div></div>
  <${Settings} />`}`;

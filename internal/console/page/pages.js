// What a click leads to: an analyzer, an emitter, a packet, the tap, dead letters, a recipe.
import {html, Component} from './html.js';
import {state, merged, mayChange, recentShares, logIn, changed} from './store.js';
import {get, events as streamEvents} from './api.js';
import {count, rate, perSecond, percent, plural, signed, span, clock, value, words, sentence} from './format.js';
import {level, why, nextTry, stateWords, isOut, outage, recipeOf} from './condition.js';
import {act, analyzerActions, setLimit, clearLimit, replayLetters, deleteLetters, cancelReplay} from './actions.js';
import {ShareBar, NoControls, eventText} from './overview.js';
import {Chart, DASHES} from './charts.js';

// Asked shows the response to a read, which is asked anew when its path changes, and each few
// seconds if it is live.
export class Asked extends Component {
  componentDidMount() {
    this.ask();
    this.timer = this.props.live && setInterval(() => state.link === 'live' && this.ask(), 5000);
  }
  componentDidUpdate(before) {
    if (before.path !== this.props.path) this.ask();
  }
  componentWillUnmount() {
    clearInterval(this.timer);
    this.gone = true;
  }
  async ask() {
    const {path} = this.props, found = await get(path).then(answer => ({answer, problem: null}), problem => ({problem, answer: null}));
    if (path === this.props.path && !this.gone) this.setState({...found, of: path});
  }
  render({show, path}, {answer, problem, of}) {
    if (of !== path) return html`<p class="quiet">Asking…</p>`;
    return problem ? html`<p class="tinted info">${problem.message}</p>` : show(answer);
  }
}

const Page = ({title, children}) => html`<div class="page"><p><a href="#/">← Overview</a></p><h1 id="page-title" tabindex="-1">${title}</h1>${children}</div>`;

const Fact = ({name, children}) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

// outages returns when an analyzer was not healthy, of the last 15 minutes, the last one first.
const outages = id => {
  const healthy = state.parts[id]?.healthy ?? [], found = [];
  let open = null;
  healthy.forEach((h, i) => {
    if (h === 0) open ??= {from: state.times[i]};
    if (open) open.to = state.times[i];
    if (h && open) {
      found.unshift(open);
      open = null;
    }
  });
  if (open) found.unshift({from: open.from});
  return found;
};

const Drain = ({drain}) => drain && html`<section class="card"><h2>${drain.running ? 'Drain, running' : 'Last drain'}</h2>
  <p>${sentence(`${words(drain.kind)} since ${clock(drain.started)}${drain.running ? `, the rest is rerouted at ${clock(drain.deadline)}; ${plural(drain.left?.packets ?? 0, 'packet')} left` : ` until ${clock(drain.ended)}`}`)}</p>
  ${drain.proof && html`<p>Result: <b>${words(drain.proof.result)}</b>. It held ${plural(drain.proof.held.packets, 'packet')} (${plural(drain.proof.held.messages, 'message')}) = ${count(drain.proof.delivered)} delivered + ${count(drain.proof.rerouted)} rerouted + ${count(drain.proof.dead_lettered)} dead-lettered + ${count(drain.proof.remaining)} remaining. Unaccounted: ${count(drain.proof.unaccounted)}. Possible duplicates: ${count(drain.proof.possible_duplicates)}.</p>`}</section>`;

// plain makes times of the day and words of the times and names of the API in a sentence.
const plain = text => text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, clock).replace(/\b(breaker_open|asked_pause|no_room)\b/g, words) + '.';

export const Analyzer = ({id}) => {
  const a = merged().find(a => a.id === id), parts = state.parts[id] ?? {};
  if (!a) return html`<${Page} title=${id}><p>${state.status ? 'There is no such analyzer now.' : 'No data yet.'}</p></${Page}>`;
  const out = outages(id), about = state.events.filter(e => e.path === 'analyzers/' + id || e.path?.startsWith(`analyzers/${id}/`));
  return html`<${Page} title=${id}>
    <p><span class=${'tag ' + level(a)}>${stateWords(a)}</span> ${why(a)} ${recipeOf(a) && html`<a href=${'#/runbook/' + recipeOf(a)}>What to do</a>`}</p>
    ${mayChange() && html`<p class="buttons">${analyzerActions(a).map(x => html`<button type="button" key=${x.title} onClick=${() => act(x)}>${x.verb}</button>`)}</p>`}<${NoControls} />
    <div class="two"><section class="card"><h2>Why this share</h2>
      <p class="share"><${ShareBar} share=${recentShares()[id]} due=${a.due} target=${a.target_share} kind=${level(a)} /></p>
      <${Asked} live path=${'/v1/explain?analyzer=' + encodeURIComponent(id)} show=${x => html`<p>${plain(x.sentence)}</p>`} />
      <dl class="facts"><${Fact} name="URL">${a.url}</${Fact}>${a.group && html`<${Fact} name="Group">${a.group}${a.registered ? ', which it joined itself' : ''}</${Fact}>`}<${Fact} name="Weight">${value(a.weight)}, ${percent(a.target_share)} of all weights</${Fact}>
        <${Fact} name="Ramp after a return">${percent(a.ramp, 0)} of the weight counts</${Fact}><${Fact} name="Off its share">${isOut(a) || !state.bound ? '–' : `${signed(a.deviation)}\u00a0messages, limit ±${count(Math.ceil(state.bound))}`}</${Fact}>
        <${Fact} name="Queue">${count(a.queued)} of ${plural(a.limit, 'packet')}</${Fact}><${Fact} name="Sent, not yet answered">${plural(a.sending, 'packet')}</${Fact}>
        <${Fact} name="Pace">${perSecond(a.pace, 'message')} delivered</${Fact}><${Fact} name="p99 to delivery">${a.p99s && a.rate ? span(a.p99s) : '–'}</${Fact}>
        <${Fact} name="Breaker">${words(a.breaker)}${a.until ? `, ${nextTry(a)}` : ''}${outage(a) ? `; opened by: ${a.outage}` : ''}</${Fact}><${Fact} name="Routed since the start">${plural(a.routed.messages, 'message')}</${Fact}></dl></section>
    <section class="card"><h2>Outages of the last 15 min</h2>${out.length ? html`<ol class="events">${out.map(o => html`<li key=${o.from}><time>${clock(1000 * o.from)}</time> <span>${o.to ? `out for ${span(o.to - o.from)}, until ${clock(1000 * o.to)}` : `out since then, for ${span(state.times.at(-1) - o.from)}`}</span></li>`)}</ol>` : html`<p class="quiet">None.</p>`}
      <h2>What was changed</h2>${about.length ? html`<ol class="events">${about.slice(-10).reverse().map(e => html`<li key=${e.id}><time>${clock(e.time)}</time> <span>${eventText(e)}</span></li>`)}</ol>` : html`<p class="quiet">Nothing.</p>`}</section></div>
    <${Drain} drain=${a.drain} />
    <div class="two"><${Chart} id="a-rate" title="Messages routed here" unit="messages/s" format=${rate} lines=${[{label: id, values: parts.routed_messages_per_s ?? [], color: '--series-1'}]} />
      <${Chart} id="a-queue" title="Packets held" unit="packets" format=${count} lines=${[{label: 'queued', values: parts.queued_packets ?? [], color: '--series-1'}, {label: 'sent', values: parts.in_flight_packets ?? [], color: '--series-2', dash: DASHES[1]}]} /></div>
  </${Page}>`;
};

const Letters = ({list, next}) => list.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Dead letters"><table><thead><tr><th scope="col">Time</th><th scope="col">Emitter</th><th scope="col">Packet</th><th scope="col">Analyzer</th><th scope="col">Reason</th><th scope="col" class="n">Messages</th><th scope="col">Replayed</th></tr></thead>
  <tbody>${list.map(l => html`<tr key=${l.id}><th scope="row">${new Date(l.time).toLocaleString('en-GB')}</th><td><a class="id" href=${'#/emitter/' + encodeURIComponent(l.emitter_id)}>${l.emitter_id}</a></td><td class="id"><a href=${'#/dead-letter/' + encodeURIComponent(l.id)}>${l.packet_id}</a></td><td>${l.analyzer}</td><td>${words(l.reason)}${l.detail ? html`<span class="quiet"> ${l.detail}</span>` : ''}</td><td class="n">${count(l.messages)}</td><td>${l.replayed ? 'yes' : 'no'}</td></tr>`)}</tbody></table></div>
  ${next && html`<p class="quiet">There are more; <code>logstreamer ctl dead-letters</code> lists all.</p>`}` : html`<p class="quiet">None.</p>`;

const lettersPath = filter => '/v1/dead-letters?' + new URLSearchParams({limit: 100, ...filter});

// LetterButtons change the dead letters of a filter, or those with the ids.
const LetterButtons = ({of}) => html`${mayChange() && html`<p class="buttons"><button type="button" onClick=${() => act(replayLetters(of))}>Replay…</button><button type="button" onClick=${() => act(deleteLetters(of))}>Delete…</button></p>`}<${NoControls} />`;

const Replays = ({replays}) => replays.length > 0 && html`<section class="card"><h2>Replays</h2><div class="scroll" tabindex="0" role="region" aria-label="Replays"><table><thead><tr><th scope="col">Started</th><th scope="col">State</th><th scope="col" class="n">Replayed <span class="unit">packets</span></th><th scope="col" class="n">Not replayed <span class="unit">gone before</span></th><th scope="col"><span class="sr">Actions</span></th></tr></thead>
  <tbody>${replays.map(r => html`<tr key=${r.id}><th scope="row">${clock(r.started)}</th><td>${r.state}${r.detail ? `: ${r.detail}` : ''}</td><td class="n">${count(r.replayed)} of ${count(r.matched)}</td><td class="n">${count(r.failed)}</td>
    <td class="menus">${mayChange() && !r.ended && html`<button type="button" onClick=${() => act(cancelReplay(r.id))}>Cancel…</button>`}</td></tr>`)}</tbody></table></div></section>`;

const filters = {emitter: 'Emitter', analyzer: 'Analyzer', reason: 'Reason'};

export class DeadLetters extends Component {
  render(_, {filter = {}}) {
    const choose = e => {
      e.preventDefault();
      this.setState({filter: Object.fromEntries([...new FormData(e.target)].filter(([, text]) => text).map(([name, text]) => [name, name === 'reason' ? text.replaceAll(' ', '_') : text]))});
    };
    const chosen = Object.keys(filter).length > 0;
    return html`<${Page} title="Dead letters"><p>Packets that an analyzer refused for good, or that kept failing.</p>
      <form class="card inline" onSubmit=${choose}>${Object.keys(filters).map(name => html`<label>${filters[name]}<input name=${name} autocomplete="off" /></label>`)}<button type="submit">Filter</button></form>
      <${LetterButtons} of=${filter} /><${Asked} live path="/v1/dead-letters/replays" show=${x => html`<${Replays} ...${x} />`} />
      <section class="card"><h2>The oldest 100${chosen ? ' of the filter' : ''}</h2><${Asked} live path=${lettersPath(filter)} show=${x => html`<${Letters} list=${x.dead_letters} next=${x.next} />`} /></section></${Page}>`;
  }
}

// DeadLetter shows a dead letter with its packet. The read is recorded in the audit log.
export const DeadLetter = ({id}) => html`<${Page} title="Dead letter"><${LetterButtons} of=${{ids: [id]}} />
  <${Asked} path=${'/v1/dead-letters/' + encodeURIComponent(id)} show=${l => html`<section class="card"><dl class="facts"><${Fact} name="Emitter"><a class="id" href=${'#/emitter/' + encodeURIComponent(l.emitter_id)}>${l.emitter_id}</a></${Fact}><${Fact} name="Packet">${l.packet_id}</${Fact}>
    <${Fact} name="Analyzer">${l.analyzer}</${Fact}><${Fact} name="Since">${new Date(l.time).toLocaleString('en-GB')}</${Fact}><${Fact} name="Reason">${words(l.reason)}${l.detail ? `: ${l.detail}` : ''}</${Fact}>
    <${Fact} name="Size">${plural(l.messages, 'message')}, ${plural(l.bytes, 'byte')}</${Fact}><${Fact} name="Replayed">${l.replayed ? 'yes' : 'no'}</${Fact}></dl>
    <h2>Its packet</h2><pre tabindex="0">${JSON.stringify(l.packet, null, 1)}</pre></section>`} /></${Page}>`;

const Groups = ({reason, desired, current, groups = []}) => html`<p><b>${count(desired)}</b> desired, ${count(current)} ready: ${reason}.</p>
  ${groups.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label="Groups"><table><thead><tr><th scope="col">Group</th><th scope="col" class="n">Desired</th><th scope="col" class="n">Ready</th><th scope="col" class="n">Healthy</th><th scope="col" class="n">Arriving <span class="unit">messages/s</span></th><th scope="col" class="n">Backlog <span class="unit">messages</span></th><th scope="col" class="n">Pace of one <span class="unit">messages/s</span></th><th scope="col" class="n">Limits</th></tr></thead>
  <tbody>${groups.map(g => html`<tr key=${g.group}><th scope="row">${g.group}</th><td class="n"><b>${count(g.desired)}</b></td><td class="n">${count(g.current)}</td><td class="n">${count(g.healthy)}</td><td class="n">${rate(g.arriving_messages_per_s)}</td><td class="n">${count(g.backlog_messages)}</td><td class="n">${g.pace === null ? 'not known' : rate(g.pace)}</td><td class="n">${count(g.min)} to ${count(g.max)}</td></tr>`)}</tbody></table></div>`}`;

export const Scale = () => html`<${Page} title="How many analyzers are needed"><section class="card"><${Asked} live path="/v1/scale" show=${x => html`<${Groups} ...${x} />`} />
  <p class="quiet">What a group needs follows from what arrives, the backlog and what one analyzer can deliver, which is known once it has been full for a second.</p></section></${Page}>`;

// Reasons shows why packets of an emitter were refused.
const Reasons = ({of}) => of ? html`<p>The last one was refused at ${clock(of.last)}.</p><table><thead><tr><th scope="col">Reason</th><th scope="col" class="n">Packets <span class="unit">each counts half after a minute</span></th></tr></thead>
  <tbody>${of.by_reason.map(r => html`<tr key=${r.reason}><th scope="row">${words(r.reason)}</th><td class="n">${count(r.packets)}</td></tr>`)}</tbody></table>` : html`<p class="quiet">None of its packets was refused lately.</p>`;

export const Emitter = ({id}) => {
  const waits = state.backlog?.by_emitter.find(e => e.emitter === id), path = '/v1/limits?' + new URLSearchParams({emitter: id});
  return html`<${Page} title=${html`Emitter <span class="id">${id}</span>`}>
    <div class="two"><div class="stack"><section class="card"><h2>Limit</h2><${Asked} live path=${path} show=${x => {
      const l = x.limits.find(l => l.emitter === id), has = l ?? x.default;
      return html`<p>${has.rate ? `${count(has.rate)} messages/s, bursts of ${count(has.burst)} messages` : 'No limit'}${l ? '' : ', as for all emitters'}.${l?.expires ? ` Until ${clock(l.expires)}.` : ''}</p>
        ${mayChange() && html`<p class="buttons"><button type="button" onClick=${() => act(setLimit(id, has))}>Limit…</button>${l?.overridden && html`<button type="button" onClick=${() => act(clearLimit(id))}>Remove the limit…</button>`}</p>`}`;
    }} /><${NoControls} /><p class="quiet">Packets over the limit are answered 429, with the time to wait.</p></section>
    <section class="card"><h2>Backlog</h2><p>${waits ? `${plural(waits.messages, 'message')} in ${plural(waits.packets, 'packet')} wait${waits.error_messages ? `, give or take ${count(waits.error_messages)}` : ''}.` : 'It is not among the ten emitters with the most messages that wait.'}</p></section></div>
    <section class="card"><h2>Refused lately</h2><${Asked} live path=${'/v1/refusals?' + new URLSearchParams({emitter: id})} show=${x => html`<${Reasons} of=${x.emitters[0]} />`} />
      <p><a href=${'#/tap/refused/' + encodeURIComponent(id)}>See its refused packets as they come</a></p></section></div>
    <section class="card"><h2>Dead letters</h2><${LetterButtons} of=${{emitter: id}} /><${Asked} live path=${lettersPath({emitter: id})} show=${x => html`<${Letters} list=${x.dead_letters} next=${x.next} />`} /></section></${Page}>`;
};

const Decision = ({d}) => html`<section class="card"><h2>${d.time ? `${clock(d.time)}: ` : ''}${plural(d.messages, 'message')} to ${d.chosen}</h2>
  <p>${d.cause ? `${{first: 'Routed for the first time', again: 'Routed again after a failure', returned: 'Routed again after its analyzer gave it back'}[d.cause]}. ` : ''}${d.runner_up ? `Next was ${d.runner_up}, ${signed(d.margin)} messages behind. ` : ''}${d.waited_us !== undefined ? `It waited ${span(d.waited_us / 1e6)} for its turn. ` : ''}${d.outcome ? html`Then: <b>${words(d.outcome.state)}</b>${d.outcome.attempts ? ` after ${plural(d.outcome.attempts, 'attempt')}` : ''}${d.outcome.latency_ms ? `, ${span(d.outcome.latency_ms / 1000)} after its acceptance` : ''}.` : ''}</p>
  <table><thead><tr><th scope="col">Analyzer</th><th scope="col" class="n">Deficit <span class="unit">messages</span></th><th scope="col" class="n">Share</th><th scope="col" class="n">Room <span class="unit">packets</span></th><th scope="col">Out</th></tr></thead>
  <tbody>${d.candidates.map(c => html`<tr key=${c.id}><th scope="row">${c.id === d.chosen ? html`<b>${c.id}</b> (chosen)` : c.id}</th><td class="n">${c.deficit === undefined ? '–' : c.deficit.toFixed(1)}</td><td class="n">${percent(c.share)}</td><td class="n">${count(c.room)}</td><td>${c.out ? words(c.out) : ''}</td></tr>`)}</tbody></table></section>`;

export class Packet extends Component {
  render(_, {path}) {
    const ask = fields => e => {
      e.preventDefault();
      this.setState({path: '/v1/explain?' + new URLSearchParams(fields.map(f => [f, e.target.elements[f].value]))});
    };
    return html`<${Page} title="Why did a packet go where it went?">
      <div class="two"><form class="card inline" onSubmit=${ask(['emitter', 'packet'])}><h2>One packet</h2><label>Emitter id<input name="emitter" required autocomplete="off" /></label><label>Packet id<input name="packet" required autocomplete="off" /></label><button type="submit">Explain</button></form>
      <form class="card inline" onSubmit=${ask(['messages', 'n'])}><h2>The next ones</h2><label>Messages a packet<input name="messages" type="number" min="1" value="50" required /></label><label>Packets<input name="n" type="number" min="1" max="100" value="5" required /></label><button type="submit">Foresee</button></form></div>
      ${path && html`<${Asked} path=${path} show=${x => (x.decisions ?? x.next).map((d, i) => html`<${Decision} key=${i} d=${d} />`)} />`}</${Page}>`;
  }
}

const MAX_TAPPED = 100;

export class Tap extends Component {
  constructor({stage, emitter}) {
    super();
    this.state = {seen: [], dropped: 0, stage, emitter, running: ''};
  }
  componentDidMount() {
    if (this.state.emitter) this.open({stage: this.state.stage, emitter: this.state.emitter});
  }
  componentWillUnmount() {
    this.stop?.abort();
  }
  async open(query) {
    this.stop?.abort();
    const stop = this.stop = new AbortController();
    this.setState({seen: [], dropped: 0, running: 'Connecting…'});
    let ended = 'The tap has ended.';
    await streamEvents('/v1/tap?' + new URLSearchParams(query), {signal: stop.signal, onOpen: () => this.setState({running: 'Waiting for packets…'}), onEvent: ({type, data}) => {
      if (type === 'packet') this.setState(s => ({seen: [{...data, key: (s.seen[0]?.key ?? 0) + 1}, ...s.seen].slice(0, MAX_TAPPED)}));
      if (type === 'dropped') this.setState(s => ({dropped: s.dropped + data.dropped}));
      if (type === 'end') ended = `The tap has ended: ${data.reason}.`;
    }}).catch(problem => ended = problem.name === 'AbortError' ? 'Stopped.' : problem.message);
    if (stop === this.stop) this.setState({running: ended});
  }
  render(_, {seen, dropped, stage, emitter, running}) {
    const begin = e => {
      e.preventDefault();
      this.open([...new FormData(e.target)].filter(([, text]) => text));
    };
    return html`<${Page} title="Packets as they pass"><form class="card inline" onSubmit=${begin}>
      <label>Emitter<input name="emitter" value=${emitter} autocomplete="off" /></label><label>Analyzer<input name="analyzer" autocomplete="off" /></label>
      <label>Stage<select name="stage">${['', 'accepted', 'routed', 'delivered', 'dead_lettered', 'refused'].map(s => html`<option value=${s} selected=${s === stage}>${s ? words(s) : 'all'}</option>`)}</select></label>
      <label>Level, at least<select name="level">${['', 'TRACE', 'DEBUG', 'INFO', 'NOTICE', 'WARN', 'ERROR', 'CRITICAL'].map(s => html`<option value=${s}>${s || 'any'}</option>`)}</select></label>
      <label>One of<input name="sample" type="number" min="1" placeholder="1" /></label>
      ${mayChange() && html`<label class="check"><input type="checkbox" name="bodies" value="true" /> With messages (recorded in the audit log)</label>`}
      <button type="submit">Begin</button> <button type="button" onClick=${() => this.stop?.abort()}>Stop</button></form>
      <p role="status">${running}${dropped ? ` ${plural(dropped, 'packet')} were left out.` : ''}</p>
      ${seen.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label="Packets"><table><thead><tr><th scope="col">Time</th><th scope="col">Stage</th><th scope="col">Emitter</th><th scope="col">Packet</th><th scope="col">Analyzer</th><th scope="col" class="n">Messages</th><th scope="col" class="n">Bytes</th><th scope="col">More</th></tr></thead>
        <tbody>${seen.map(p => html`<tr key=${p.key}><th scope="row">${clock(p.time)}</th><td>${words(p.stage)}</td><td class="id">${p.emitter_id}</td><td class="id">${p.packet_id}</td><td>${p.analyzer}</td><td class="n">${count(p.messages)}</td><td class="n">${count(p.bytes)}</td><td class="id">${[p.level, p.reason && words(p.reason), p.detail, p.text, p.packet && JSON.stringify(p.packet)].filter(Boolean).join(' · ')}</td></tr>`)}</tbody></table></div>`}</${Page}>`;
  }
}

// inline makes elements of bold, code and links of a line of Markdown; links to other
// documents are text.
const inline = text => text.split(/(\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)]+\))/).map(part => {
  if (part.startsWith('**')) return html`<b>${part.slice(2, -2)}</b>`;
  if (part.startsWith('`')) return html`<code>${part.slice(1, -1)}</code>`;
  const link = part.match(/^\[([^\]]+)\]\(([^)]+)\)$/);
  return !link ? part : link[2].startsWith('#') ? html`<a href=${'#/runbook/' + link[1]}>${link[1]}</a>` : link[1].replaceAll('`', '');
});

const cells = row => row.split('|').slice(1, -1).map(c => c.trim());

const markdown = text => text.trim().split(/\n\n+/).map(block => {
  if (block.startsWith('```')) return html`<pre tabindex="0">${block.replace(/^```\w*\n|\n?```$/g, '')}</pre>`;
  if (block.startsWith('|')) {
    const [head, , ...rows] = block.split('\n');
    return html`<table><thead><tr>${cells(head).map(c => html`<th scope="col">${inline(c)}</th>`)}</tr></thead><tbody>${rows.map(r => html`<tr>${cells(r).map(c => html`<td>${inline(c)}</td>`)}</tr>`)}</tbody></table>`;
  }
  if (block.startsWith('- ')) return html`<ul>${block.slice(2).split(/\n- /).map(i => html`<li>${inline(i)}</li>`)}</ul>`;
  return html`<p>${inline(block)}</p>`;
});

export class Recipe extends Component {
  async componentDidMount() {
    this.setState({text: await (await fetch('/console/runbook.md')).text().catch(() => '')});
  }
  render({name}, {text}) {
    const section = text?.split(/^## /m).find(s => s.toLowerCase().startsWith(name.toLowerCase() + '\n'));
    return html`<${Page} title=${name}><section class="card text">${text === undefined ? 'Asking…' : section ? markdown(section.slice(name.length)) : 'The runbook has no such recipe.'}</section></${Page}>`;
  }
}

export const Keys = () => html`<${Page} title="Keys"><section class="card"><dl class="facts">
  ${[['/', 'filter the analyzers'], ['j, k', 'next, previous analyzer'], ['Enter', 'open it'], ['Esc', 'back to the overview'], ['?', 'this page']].map(([key, what]) => html`<${Fact} name=${html`<kbd>${key}</kbd>`}>${what}</${Fact}>`)}</dl>
  <p>Whatever this page does, <code>curl</code> and <code>logstreamer ctl</code> can do with the same admin API.</p></section></${Page}>`;

export class Login extends Component {
  componentDidMount() {
    this.base.querySelector('[name=token]').focus();
  }
  async submit(e) {
    e.preventDefault();
    const input = e.target.elements.token;
    try {
      await logIn(input.value);
    } catch (problem) {
      this.setState({problem});
      input.select();
    }
    changed();
  }
  render(_, {problem}) {
    return html`<main class="login"><form class="card" onSubmit=${e => this.submit(e)}><h1>Log Streamer</h1>
      <p>${state.lastSeen ? `The session has ended. What was last seen is from ${clock(state.lastSeen)}.` : 'This distributor needs a token.'}</p>
      <input name="username" autocomplete="username" value="token" hidden />
      <label>Token<input name="token" type="password" autocomplete="current-password" required /></label>
      ${problem && html`<p class="tinted bad" role="alert">${problem.message}${problem.retryAfter ? ` Try again in ${span(problem.retryAfter)}.` : ''}</p>`}
      <div class="buttons"><button class="primary" type="submit">Log in</button></div>
      <p class="quiet">It is sent to ${location.host} alone and not kept by the page; a session lasts until an hour without use. <code>logstreamer token</code> makes tokens.</p></form></main>`;
  }
}

// Actions: each is a request that the dialog shows as a dry run first and then sends for the
// revision of the dry run, so that nobody changes what he has not seen.
import {html, Component} from './html.js';
import {state, changed, refresh, recentShares} from './store.js';
import {request, get} from './api.js';
import {count, rate, percent, plural, value, sentence} from './format.js';

let current = null, opener = null;

// act opens the dialog of an action: {title, verb, submit, method, path, fields, body(values),
// query(values), typed, unrevised}.
export const act = action => {
  const from = document.activeElement;
  opener = from.closest('details.menu')?.querySelector('summary') ?? from;
  current = action;
  changed();
};

const close = () => {
  current = null;
  changed();
};

// focusBack gives the focus to what opened the dialog or, if that is gone, to the heading above.
const focusBack = () => (opener?.isConnected ? opener : document.getElementById('page-title') ?? document.getElementById('filter'))?.focus();

const analyzer = id => '/v1/analyzers/' + encodeURIComponent(id);

const number = text => text === '' ? undefined : +text;

const common = [
  {name: 'ttl', label: 'Revert by itself after', hint: 'such as 15m; empty: never'},
  {name: 'reason', label: 'Reason', hint: 'for the events and the audit log'},
];

const optional = v => ({...(v.ttl && {ttl: v.ttl}), ...(v.reason && {reason: v.reason}), ...(v.force && {force: true})});

const deadline = {name: 'deadline', label: 'Reroute the rest after', value: '60s', hint: 'such as 60s'};

// analyzerActions returns what can be done with an analyzer. Weight and state of a member of a group
// are those of the group; those of an analyzer that registered itself alone are its own.
export const analyzerActions = a => [...(a.registered && !a.group ? [] : specActions({...a, id: a.group || a.id}, a)), ...breakerActions(a), ...demoActions(a)];

const specActions = (a, member) => {
  const patch = {method: 'PATCH', path: analyzer(a.id)}, note = a.group ? `It is for the whole group, of which ${member.id} is a member.` : '';
  const actions = [{...patch, note, title: `Change the weight of ${a.id}`, verb: 'Weight…', submit: 'Change the weight', fields: [{name: 'weight', label: 'Weight', type: 'number', value: a.weight}, ...common], body: v => ({weight: number(v.weight), ...optional(v)})}];
  if (a.state !== 'ready') actions.push({...patch, note, title: `Put ${a.id} back`, verb: 'Ready…', submit: 'Put it back', fields: common, body: v => ({state: 'ready', ...optional(v)})});
  if (a.state !== 'drain') actions.push({...patch, title: `Drain ${a.id}`, verb: 'Drain…', note: `It gets no new packets; what it holds is delivered there. ${note}`, fields: [deadline, ...common], body: v => ({state: 'drain', deadline: v.deadline, ...optional(v)})});
  if (a.state !== 'maint') actions.push({...patch, title: `Put ${a.id} in maintenance`, verb: 'Maintenance…', submit: 'Put it in maintenance', note: `What it holds is routed elsewhere at once; it is not probed. ${note}`, fields: common, body: v => ({state: 'maint', ...optional(v)})});
  if (!a.group) actions.push({...patch, title: `Change the URL of ${a.id}`, verb: 'URL…', submit: 'Change the URL', note: 'The old URL is drained while the new one joins.', fields: [{name: 'url', label: 'URL', value: a.url}, ...common], body: v => ({url: v.url, ...optional(v)})});
  actions.push({method: 'DELETE', path: analyzer(a.id), title: `Remove ${a.id}`, verb: 'Remove…', note: `It is drained first; its counters stay. ${note}`, typed: a.id, fields: [deadline, ...common], query: v => ({deadline: v.deadline}), body: optional});
  return actions;
};

const breakerActions = a => {
  const breaker = {method: 'POST', path: analyzer(a.id) + '/breaker'};
  const open = {...breaker, title: `Hold the breaker of ${a.id} open`, verb: 'Open breaker…', fields: [{...common[0], label: 'For', value: '10m', hint: 'such as 10m'}, common[1]], body: v => ({action: 'open', ...optional(v)})};
  const shut = {...breaker, title: `Close the breaker of ${a.id}`, verb: 'Close breaker…', fields: [common[1]], body: v => ({action: 'reset', ...optional(v)})};
  return a.breaker === 'closed' ? [open] : [shut, open];
};

const demoActions = a => {
  if (!('demo' in document.documentElement.dataset)) return [];
  const demo = {method: 'POST', path: '/v1/demo/' + encodeURIComponent(a.id), unrevised: true, fields: []};
  return [
    {...demo, title: `Kill ${a.id}`, verb: 'Kill (demo)', note: 'Stops the process of this analyzer in the midst of its requests. Only a demo can do that.', body: () => ({action: 'stop'})},
    {...demo, title: `Start ${a.id}`, verb: 'Start (demo)', note: 'Starts the analyzer after a kill.', body: () => ({action: 'start'})},
  ];
};

export const addAnalyzer = () => ({method: 'POST', path: '/v1/analyzers', title: 'Add an analyzer', verb: 'Add', note: 'It joins with a deficit of 0 and slow start.', fields: [
  {name: 'id', label: 'Id', hint: 'letters, digits, . _ -; empty: from the URL'}, {name: 'url', label: 'URL', value: 'http://'}, {name: 'weight', label: 'Weight', type: 'number', value: 1}, ...common,
], body: v => ({...(v.id && {id: v.id}), url: v.url, weight: number(v.weight), ...optional(v)})});

export const changeSetting = key => {
  const old = state.settings[key].value, parse = text => typeof old === 'number' ? number(text) : typeof old === 'boolean' ? text === 'true' : text;
  return {method: 'PATCH', path: '/v1/settings', title: `Change ${key}`, verb: 'Change', fields: [
    {name: 'value', label: 'Value', value: state.settings[key].secret ? '' : typeof old === 'object' ? JSON.stringify(old) : value(old), hint: state.settings[key].secret ? 'the present one is secret' : ''}, ...common,
  ], body: v => ({[key]: parse(v.value), ...optional(v)})};
};

export const revertSetting = path => ({method: 'DELETE', path: '/v1/overrides/' + path.split('/').map(encodeURIComponent).join('/'), title: `Revert ${path}`, verb: 'Revert', fields: [common[1]], body: optional});

export const reload = () => ({method: 'POST', path: '/v1/reload', title: 'Reload the configuration file', verb: 'Reload', fields: [common[1]], body: optional});

export const setLimit = (emitter, limit) => ({method: 'PUT', path: '/v1/limits', title: `Limit ${emitter}`, verb: 'Limit', query: () => ({emitter}), fields: [
  {name: 'rate', label: 'Messages a second', type: 'number', value: limit?.rate || '', hint: '0: none'}, {name: 'burst', label: 'Burst, messages', type: 'number', hint: 'empty: those of one second'}, ...common,
], body: v => ({rate: number(v.rate), ...(v.burst !== '' && v.burst !== undefined && {burst: number(v.burst)}), ...optional(v)})});

export const clearLimit = emitter => ({method: 'DELETE', path: '/v1/limits', title: `Remove the limit of ${emitter}`, verb: 'Remove', query: () => ({emitter}), fields: [common[1]], body: optional});

export const revertAll = () => ({method: 'DELETE', path: '/v1/overrides', title: 'Revert all overrides', verb: 'Revert all', fields: [common[1]], body: optional});

// letters changes dead letters: those with the ids, else those of a filter, which are counted anew,
// so that those that are changed are those that were seen; with replayed it selects those that were
// replayed as well.
const letters = (verb, {ids, ...filter}, replayed, extra) => ({
  method: 'POST', title: `${verb} ${ids ? 'this dead letter' : 'dead letters'}`, verb, unrevised: true, dry: true,
  fields: [common[1]], ...extra,
  prepare: async () => ids ? {ids} : {filter, expect_count: await countLetters(filter, replayed)},
  body: (v, selection) => ({...selection, ...(v.rate && {rate: number(v.rate)}), ...(v.reason && {reason: v.reason})}),
});

const countLetters = async (filter, replayed) => {
  let sum = 0, after = '';
  for (;;) {
    const page = await get('/v1/dead-letters?' + new URLSearchParams({limit: 1000, ...filter, ...(after && {after})}));
    sum += page.dead_letters.filter(l => replayed || !l.replayed).length;
    if (!(after = page.next)) return sum;
  }
};

export const replayLetters = selection => letters('Replay', selection, false, {path: '/v1/dead-letters/replay', note: 'Sends them again as new packets, past the duplicate window.', fields: [{name: 'rate', label: 'Packets a second', type: 'number', value: 100}, common[1]]});

export const deleteLetters = selection => letters('Delete', selection, true, {path: '/v1/dead-letters/delete', note: 'They are gone for good.', typed: 'delete'});

export const cancelReplay = id => ({method: 'DELETE', path: '/v1/dead-letters/replays/' + encodeURIComponent(id), title: `Cancel replay ${id}`, verb: 'Cancel the replay', note: 'What it has sent again stays sent; the others remain dead letters.', unrevised: true, fields: [common[1]], body: optional});

// flat returns what can be changed, by path, to see what others changed.
const flat = async () => {
  const [analyzers, settings, limits] = await Promise.all([get('/v1/analyzers'), get('/v1/settings'), get('/v1/limits')]);
  const all = {};
  for (const a of analyzers.analyzers) for (const key in a.spec) all[`analyzers/${a.id}/${key}`] = a.spec[key];
  for (const key in settings.settings) all[`settings/${key}`] = settings.settings[key].value;
  for (const l of limits.limits) all[`limits/${l.emitter}`] = {rate: l.rate};
  return all;
};

const difference = (before, after) => [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  .filter(path => value(before[path]) !== value(after[path])).map(path => ({path, old: before[path], new: after[path]}));

const Changes = ({changes}) => html`<ul class="changes">${changes.map(c => html`<li key=${c.path}><code>${c.path}</code>: ${value(c.old, c.path)} → <b>${value(c.new, c.path)}</b></li>`)}</ul>`;

const Projection = ({list}) => {
  const now = recentShares();
  return html`<table><caption>What the analyzers would get</caption><thead><tr><th scope="col">Analyzer</th><th scope="col" class="n">Share now</th><th scope="col" class="n">Then</th><th scope="col" class="n">Messages/s</th><th scope="col" class="n pace">Of its known pace</th></tr></thead>
    <tbody>${list.map(p => html`<tr key=${p.id} class=${p.load > 1 ? 'bad' : ''}><th scope="row">${p.id}</th><td class="n">${percent(now[p.id])}</td><td class="n"><b>${percent(p.share)}</b></td><td class="n">${rate(p.messages_per_s)}</td><td class="n pace">${p.load ? percent(p.load, 0) : 'not known'}</td></tr>`)}</tbody></table>`;
};

// Dialog asks for what an action needs, shows its dry run, and sends it.
export class Dialog extends Component {
  constructor({action}) {
    super();
    this.state = {values: Object.fromEntries(action.fields.map(f => [f.name, f.value ?? ''])), typed: '', busy: false};
  }
  async componentDidMount() {
    this.base.showModal();
    if (!this.props.action.unrevised) this.before = await flat().catch(() => null);
    this.preview();
  }
  componentWillUnmount() {
    clearTimeout(this.timer);
    this.gone = true;
    focusBack();
  }
  send(dry, revision) {
    const {action} = this.props, {values} = this.state, query = new URLSearchParams({...action.query?.(values), ...(dry && {dry_run: true})});
    return request(action.method, action.path + (query.size ? '?' + query : ''), {body: action.body(values, this.seen), revision});
  }
  // preview asks for the dry run; of several responses the last one counts.
  async preview() {
    const {action} = this.props, turn = this.turn = {};
    if (action.unrevised && !action.dry) return;
    const found = await (async () => {
      if (action.prepare) this.seen = await action.prepare();
      return {result: await this.send(true), problem: null};
    })().catch(problem => ({result: null, problem}));
    if (turn === this.turn && !this.gone) this.setState(found);
  }
  set(name, text) {
    this.turn = null; // a response on its way is of other values
    this.setState(({values}) => ({values: {...values, [name]: text}, result: null}));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.preview(), 250);
  }
  async apply(event) {
    event.preventDefault();
    if (!this.ready() || this.sending) return;
    this.sending = true; // at once, unlike the state
    this.setState({busy: true});
    try {
      await this.send(false, this.props.action.unrevised ? 0 : this.state.result.revision);
      await refresh();
      close();
    } catch (problem) {
      if (problem.code === 'stale_revision') await this.reconsider();
      else this.setState({busy: false, problem});
    } finally {
      this.sending = false;
    }
  }
  // reconsider shows what others changed since the dialog opened, and the new dry run.
  async reconsider() {
    const now = await flat().catch(() => this.before);
    this.setState({busy: false, result: null, problem: null, others: difference(this.before ?? now, now)});
    this.before = now;
    refresh();
    await this.preview();
  }
  ready() {
    const {action} = this.props, {result, busy, typed} = this.state;
    return !busy && state.link === 'live' && (result || action.unrevised && !action.dry) && (!action.typed || typed === action.typed);
  }
  render({action}, {values, result, problem, others, typed, busy}) {
    const input = f => html`<label key=${f.name}>${f.label}<input name=${f.name} type=${f.type ?? 'text'} step="any" value=${values[f.name]} autocomplete="off" onInput=${e => this.set(f.name, e.target.value)} />${f.hint && html`<span class="quiet">${f.hint}</span>`}</label>`;
    return html`<dialog aria-labelledby="dialog-title" onClose=${close}><form onSubmit=${e => this.apply(e)}>
      <h2 id="dialog-title">${action.title}</h2>${action.note && html`<p>${action.note}</p>`}
      <div class="fields">${action.fields.map(input)}</div>
      <div role="status" class="preview">
        ${others && html`<div class="tinted warn"><b>The configuration was changed meanwhile</b>, and nothing was applied. ${others.length ? 'What differs now:' : 'No value differs now.'}<${Changes} changes=${others} />Below is what your change would do now.</div>`}
        ${problem && html`<p class="tinted bad">${problem.message}${problem.allowed && !problem.message.includes(problem.allowed) ? `. Allowed: ${problem.allowed}.` : ''}</p>`}
        ${(problem?.code === 'last_analyzer' || values.force) && html`<label class="check"><input type="checkbox" checked=${!!values.force} onChange=${e => this.set('force', e.target.checked)} /> Do it although no analyzer is left</label>`}
        ${result?.changed && html`<p>${result.changed.length ? 'This changes:' : 'This changes nothing.'}</p><${Changes} changes=${result.changed} />`}
        ${result?.warnings?.map(w => html`<p class="tinted warn">${sentence(w)}</p>`)}
        ${result?.projected?.length > 0 && html`<${Projection} list=${result.projected} />${result.bound_messages > 0 && html`<p class="quiet">No analyzer will be further off its share than ${plural(Math.ceil(result.bound_messages), 'message')}.</p>`}`}
        ${result?.shadowed?.map(s => html`<p class="quiet">Does not count: ${s}</p>`)}
        ${result?.matched !== undefined && html`<p>${plural(result.matched, 'dead letter')} match${result.matched === 1 ? 'es' : ''}.</p>`}
        ${!result && !problem && !(action.unrevised && !action.dry) && html`<p class="quiet">Asking what it would do…</p>`}
      </div>
      ${action.typed && html`<label>Type <code>${action.typed}</code> to confirm<input name="typed" value=${typed} autocomplete="off" onInput=${e => this.setState({typed: e.target.value})} /></label>`}
      <div class="buttons"><button type="button" onClick=${() => this.base.close()}>Cancel</button><button class="primary" type="submit" disabled=${!this.ready()}>${busy ? 'Sending…' : action.submit ?? action.verb.replace('…', '')}${result?.revision ? html`<span class="sr"> for revision ${result.revision}</span>` : ''}</button></div>
    </form></dialog>`;
  }
}

export const OpenDialog = () => current && html`<${Dialog} key=${current.title} action=${current} />`;
export const dialogIsOpen = () => !!current;
export const closeDialog = () => current && close();

// The way of a packet, drawn: emitters, ingest, journal, router, analyzers.
import {html, Component} from './html.js';
import {state, merged, recentShares, self} from './store.js';
import {count, perSecond, plural, percent, words} from './format.js';
import {level, stateWords, isOut, sharing} from './condition.js';
import {refusals, recent, unwritable} from './verdict.js';

const MAX_ANALYZERS = 8;
const NARROW = 700; // px

// Sized draws its child for its width: at once, so that nothing below moves, and when that changes.
export class Sized extends Component {
  componentDidMount() {
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.base);
    this.measure();
  }
  measure() {
    const width = Math.floor(this.base.getBoundingClientRect().width);
    if (width !== this.state.width) this.setState({width});
  }
  componentWillUnmount() {
    this.observer.disconnect();
  }
  render({draw, class: name, height}, {width}) {
    return html`<div class=${name} style=${{minHeight: height}}>${width > 0 && draw(width)}</div>`;
  }
}

const cut = (text, width) => {
  const fits = Math.max(4, Math.floor(width / 7.3));
  return text.length > fits ? text.slice(0, fits - 1) + '…' : text;
};

const box = ({x, y, w, h, href, name, now = '', main, sub, kind = 'good'}) => html`
  <a href=${href} class=${'node ' + kind}>
    <rect x=${x + 1} y=${y + 1} width=${w - 2} height=${h - 2} rx="8" />
    <rect class="edge" x=${x + 1} y=${y + 8} width="4" height=${h - 16} rx="2" />
    <text class="name" x=${x + 16} y=${y + 20}>${cut(name, w - 24 - 7.3 * now.length)}${now && html`<tspan class="now"> ${now}</tspan>`}</text>
    ${main && html`<text class="main" x=${x + 16} y=${y + 42}>${cut(main, w - 24)}</text>`}
    <text class="sub" x=${x + 16} y=${y + h - 11}>${cut(sub, (w - 24) * 1.1)}</text>
  </a>`;

// routing says how much is routed, and what the shares follow.
export const routing = () => {
  const all = merged(), off = all.filter(a => !isOut(a)).reduce((most, a) => Math.max(most, Math.abs(a.deviation)), 0);
  // Of very many analyzers the snapshot has the first ones only.
  const routed = all.length && all.every(a => a.rate >= 0) ? all.reduce((sum, a) => sum + a.rate, 0) : recent('delivered_messages_per_s');
  return {routed, ...sharing(all, off, routed)};
};

const stages = () => {
  const v = state.snapshot?.values ?? {}, s = state.status, refused = refusals();
  const {routed, short, level: shared} = routing();
  const allRefused = refused.reduce((sum, r) => sum + r.rate, 0);
  return [
    {name: 'Emitters', href: '#/backlog', main: perSecond(recent('accepted_packets_per_s') + allRefused, 'packet'), sub: allRefused ? `${perSecond(allRefused, 'packet')} refused` : s ? 'none refused' : 'no data yet', kind: allRefused ? 'warn' : 'good'},
    {name: 'Ingest', href: '#/refusals', main: perSecond(recent('accepted_messages_per_s'), 'message'), sub: s?.intake === 'paused' ? 'paused' : refused.length ? words(refused[0].reason) : s ? 'open' : 'no data yet', kind: s?.intake === 'paused' || refused.length ? 'warn' : 'good'},
    {name: 'Journal', href: '#/backlog', main: `${plural(v.waiting_packets, 'packet')} wait${v.waiting_packets === 1 ? 's' : ''}`, sub: unwritable(refused) ? 'cannot be written' : s ? `${percent(v.journal_utilization, 0)} full` : 'no data yet', kind: unwritable(refused) ? 'bad' : v.journal_utilization > 0.8 ? 'warn' : 'good'},
    {name: 'Router', href: '#/packet', main: perSecond(routed, 'message'), sub: !s ? 'no data yet' : s.dispatch === 'paused' ? 'paused' : short, kind: s && (s.dispatch === 'paused' ? 'warn' : shared)},
  ];
};

const targets = () => {
  const all = merged(), shares = recentShares();
  const shown = all.slice(0, all.length > MAX_ANALYZERS ? MAX_ANALYZERS - 1 : MAX_ANALYZERS).map(a => ({
    name: a.id, href: '#/analyzer/' + encodeURIComponent(a.id), kind: level(a), share: shares[a.id] || 0, out: isOut(a),
    now: stateWords(a), sub: `${isOut(a) && !a.rate ? '' : `${perSecond(a.rate, 'message')} · `}${plural(a.queued + a.sending, 'packet')} held`,
  }));
  const rest = all.slice(shown.length);
  if (rest.length) shown.push({name: `${rest.length} more`, href: '#/', kind: rest.some(a => level(a) === 'bad') ? 'bad' : 'good', share: 0, sub: `${rest.filter(isOut).length} of them out`});
  return shown;
};

// thickness of the lines between the stages: thin where nothing flows.
const thickness = () => ['accepted', 'accepted', 'delivered'].map(name => recent(name + '_messages_per_s') > 0 ? 3 : 1);

const wide = width => {
  const gap = Math.max(18, width * 0.035), w = (width - 4 * gap) / 5.4, last = width - 4 * (w + gap);
  const ends = targets(), row = 54, height = Math.max(92, ends.length * row - 8), mid = height / 2;
  const line = (x1, y1, x2, y2, kind, thick) => html`<path class=${'wire ' + kind} d=${`M${x1} ${y1}C${x1 + gap / 2} ${y1} ${x2 - gap / 2} ${y2} ${x2} ${y2}`} stroke-width=${thick} />`;
  return html`<svg width=${width} height=${height} role="group" aria-label="The way of a packet, from emitters to analyzers">
    ${thickness().map((thick, i) => line(i * (w + gap) + w, mid, (i + 1) * (w + gap), mid, '', thick))}
    ${ends.map((e, i) => line(4 * (w + gap) - gap, mid, width - last, i * row + 23, e.out ? 'off ' + e.kind : '', 1 + 5 * e.share))}
    ${stages().map((s, i) => box({...s, x: i * (w + gap), y: mid - 38, w, h: 76}))}
    ${ends.map((e, i) => box({...e, x: width - last, y: i * row, w: last, h: 46}))}
  </svg>`;
};

const narrow = width => {
  const ends = targets(), step = 94, start = 4 * step, height = start + ends.length * 54;
  return html`<svg width=${width} height=${height} role="group" aria-label="The way of a packet, from emitters to analyzers">
    ${thickness().map((thick, i) => html`<path class="wire" d=${`M20 ${i * step + 76}V${(i + 1) * step}`} stroke-width=${thick} />`)}
    ${ends.map((e, i) => html`<path class=${'wire ' + (e.out ? 'off ' + e.kind : '')} d=${`M12 ${3 * step + 76}V${start + i * 54 + 15}q0 8 8 8h10`} stroke-width="2" />`)}
    ${stages().map((s, i) => box({...s, x: 0, y: i * step, w: width, h: 76}))}
    ${ends.map((e, i) => box({...e, x: 30, y: start + i * 54, w: width - 30, h: 46}))}
  </svg>`;
};

export const Flow = () => html`<section aria-labelledby="flow-title" class="card">
  <h2 id="flow-title">The way of a packet <span class="unit">rates: last 10\u00a0s; from the router on: routed, retries included${self() && `, of ${self()}`}</span></h2>
  <${Sized} class="flow" height="92px" draw=${width => width < NARROW ? narrow(width) : wide(width)} />
</section>`;

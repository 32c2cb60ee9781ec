// Charts of the last 15 minutes, each with a table of the same numbers, and sparklines.
import {html, Component} from './html.js';
import {state} from './store.js';
import {rate, percent, clock} from './format.js';
import {Sized} from './flow.js';

export const MAX_LINES = 8;

// DASHES tell lines apart without colours.
export const DASHES = ['', '6 4', '2 3', '10 3 2 3', '12 5', '4 2', '1 4', '8 2 2 2 2 2'];

const Key = ({line}) => html`<svg class="key" width="26" height="6" aria-hidden="true"><path d="M0 3H26" style=${{stroke: `var(${line.color})`}} stroke-dasharray=${line.dash} /></svg>`;

export const Spark = ({values, label}) => {
  const last = values.slice(-120), top = Math.max(...last.map(v => v ?? 0), 1e-9);
  const points = last.map((v, i) => v === null ? null : `${i + 120 - last.length},${(27 - 25 * v / top).toFixed(1)}`).filter(Boolean);
  return html`<svg class="spark" viewBox="0 0 120 28" preserveAspectRatio="none" role="img" aria-label=${label}><polyline points=${points.join(' ')} /></svg>`;
};

const HEIGHT = 190, LEFT = 58, BOTTOM = 22;

// ticks returns round numbers from 0 to the top; of what is counted they are whole.
const ticks = (top, counted) => {
  const raw = Math.max(top / 4, counted), power = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 2.5, 5, 10].find(m => m * power >= raw && !(counted && m * power % 1)) * power;
  return Array.from({length: Math.floor(top / step + 1e-9) + 1}, (_, i) => i * step);
};

// Plot draws lines: {label, values, color, dash}. null is a gap.
const Plot = ({width, lines, format, top, at, onHover}) => {
  const last = state.times.length - 1, end = state.times[last], begin = Math.min(state.times[0], end - 60);
  const most = top ?? (Math.max(...lines.map(l => l.values.reduce((a, b) => b > a ? b : a, 0))) * 1.08 || 4);
  const x = t => LEFT + (t - begin) / (end - begin) * (width - LEFT - 6), y = v => HEIGHT - BOTTOM - v / most * (HEIGHT - BOTTOM - 8);
  const path = values => {
    let d = '', pen = 'M';
    for (let i = 0; i <= last; i++) {
      const v = values[i];
      if (v === null || v === undefined) pen = 'M';
      else {
        d += `${pen}${x(state.times[i]).toFixed(1)} ${y(v).toFixed(1)}`;
        pen = 'L';
      }
    }
    return d;
  };
  const every = [10, 60, 120, 300].find(s => (end - begin) / s * 64 < width - LEFT) ?? 600;
  const times = [];
  for (let t = Math.ceil(begin / every) * every; t <= end; t += every) if (x(t) < width - 20 && x(t) > LEFT + 14) times.push(t);
  const hover = e => {
    const t = begin + (e.offsetX - LEFT) / (width - LEFT - 6) * (end - begin);
    const i = state.times.findIndex(time => time >= t);
    onHover(i < 0 ? last : i);
  };
  return html`<svg width=${width} height=${HEIGHT} aria-hidden="true" onPointerMove=${hover} onPointerLeave=${() => onHover(null)}>
    ${ticks(most, top ? 0 : 1).map(v => html`<path class="grid" d=${`M${LEFT} ${y(v).toFixed(1)}H${width - 6}`} /><text x=${LEFT - 8} y=${y(v) + 4} text-anchor="end">${format(v)}</text>`)}
    ${times.map(t => html`<text x=${x(t)} y=${HEIGHT - 5} text-anchor="middle">${every < 60 ? clock(1000 * t) : clock(1000 * t).slice(0, 5)}</text>`)}
    ${lines.map(l => html`<path class="line" d=${path(l.values)} style=${{stroke: `var(${l.color})`}} stroke-dasharray=${l.dash} />`)}
    ${at !== null && at !== undefined && at <= last && html`<path class="at" d=${`M${x(state.times[at])} 4V${HEIGHT - BOTTOM}`} />`}
  </svg>`;
};

// Chart is a titled plot with its legend, whose numbers are those under the pointer, else the
// last ones.
export class Chart extends Component {
  render({id, title, lines, format, unit, top, note}, {at, open}) {
    const last = state.times.length - 1, shown = at !== null && at !== undefined && at <= last ? at : last;
    return html`<section class="card chart" aria-labelledby=${id}>
      <h2 id=${id}>${title} <span class="unit">${unit}</span></h2>
      <ul class="legend">${lines.map(l => html`<li key=${l.label}><${Key} line=${l} />${l.label} <b>${format(l.values[shown])}</b></li>`)}
        <li class="time">${last >= 0 ? clock(1000 * state.times[shown]) : ''}</li></ul>
      <${Sized} class="plot" height="190px" draw=${width => last < 1 ? html`<p class="quiet">No data yet.</p>` : html`<${Plot} width=${width} lines=${lines} format=${format} top=${top} at=${at} onHover=${i => i !== this.state.at && this.setState({at: i})} />`} />
      ${note && html`<p class="quiet">${note}</p>`}
      <details onToggle=${e => this.setState({open: e.target.open})}><summary>The same as a table</summary>${open && html`<${Rows} lines=${lines} format=${format} title=${title} />`}</details>
    </section>`;
  }
}

const Rows = ({lines, format, title}) => {
  const rows = [];
  for (let i = state.times.length - 1; i >= 0 && rows.length < 16; i -= 60) rows.push(i);
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${title}><table><thead><tr><th scope="col">Time</th>${lines.map(l => html`<th scope="col" class="n">${l.label}</th>`)}</tr></thead>
    <tbody>${rows.map(i => html`<tr key=${state.times[i]}><th scope="row">${clock(1000 * state.times[i])}</th>${lines.map(l => html`<td class="n">${format(l.values[i])}</td>`)}</tr>`)}</tbody></table></div>`;
};

const column = name => state.columns[name] ?? [];

export const Throughput = () => html`<${Chart} id="throughput" title="Throughput" unit="messages/s, each second" format=${rate} lines=${[
  {label: 'in', values: column('accepted_messages_per_s'), color: '--series-1'},
  {label: 'out', values: column('delivered_messages_per_s'), color: '--series-2', dash: DASHES[1]},
]} />`;

const ROUNDING = 1e-9; // of moving sums

// shares returns each analyzer's part of the messages, over ten seconds.
const shares = ids => {
  const rates = Object.values(state.parts).map(c => c.routed_messages_per_s ?? []);
  const sums = rates => state.times.map((_, i) => rates.reduce((sum, r) => sum + (r[i] ?? 0), 0));
  const moving = values => {
    let sum = 0;
    return values.map((v, i) => sum += v - (i >= 10 ? values[i - 10] : 0));
  };
  const all = moving(sums(rates));
  return ids.map(id => moving(sums([state.parts[id]?.routed_messages_per_s ?? []])).map((v, i) => all[i] > 0.5 ? v > ROUNDING * all[i] ? v / all[i] : 0 : null));
};

export const Shares = () => {
  const ids = state.analyzers.map(a => a.id).slice(0, MAX_LINES), values = shares(ids);
  const more = state.analyzers.length - ids.length;
  return html`<${Chart} id="shares" title="Share of the messages" unit="%, over 10\u00a0s" top=${1} format=${v => percent(v, 0)}
    lines=${ids.map((id, i) => ({label: id, values: values[i], color: `--series-${i + 1}`, dash: DASHES[i]}))}
    note=${more > 0 && `The first ${ids.length} of ${ids.length + more} analyzers; the others have their own page.`} />`;
};

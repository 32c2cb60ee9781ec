import {html, render} from './html.js';
import {state, start} from './store.js';
import {Header, Banner, Overview} from './overview.js';
import {Analyzer, Emitter, Packet, Tap, DeadLetters, DeadLetter, Scale, Recipe, Keys, Login} from './pages.js';
import {OpenDialog, dialogIsOpen, closeDialog} from './actions.js';
import {warnings, verdict} from './verdict.js';

const anchors = ['backlog', 'refusals']; // of the overview

const route = () => {
  const [page, ...rest] = location.hash.replace(/^#\/?/, '').split('/');
  return {page, rest: rest.map(part => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part; // not encoded
    }
  })};
};

const Page = ({page, rest}) => {
  switch (page) {
    case 'analyzer': return html`<${Analyzer} key=${rest[0]} id=${rest[0] ?? ''} />`;
    case 'emitter': return html`<${Emitter} key=${rest[0]} id=${rest[0] ?? ''} />`;
    case 'packet': return html`<${Packet} />`;
    case 'tap': return html`<${Tap} key=${rest.join('/')} stage=${rest[0] ?? ''} emitter=${rest[1] ?? ''} />`;
    case 'dead-letters': return html`<${DeadLetters} />`;
    case 'dead-letter': return html`<${DeadLetter} key=${rest[0]} id=${rest[0] ?? ''} />`;
    case 'scale': return html`<${Scale} />`;
    case 'runbook': return html`<${Recipe} key=${rest[0]} name=${rest[0] ?? ''} />`;
    case 'keys': return html`<${Keys} />`;
    default: return html`<${Overview} />`;
  }
};

const Console = ({found, now}) => {
  if (state.link === 'expired') return html`<${Login} />`;
  const at = route();
  return html`<${Header} /><main class=${state.link === 'live' ? '' : 'past'}><${Banner} found=${found} now=${now} /><${Page} ...${at} /></main><${OpenDialog} />`;
};

const draw = () => {
  const found = warnings(), now = verdict(found), {level, mark} = now;
  render(html`<${Console} found=${found} now=${now} />`, document.getElementById('console'));
  document.title = (state.link === 'lost' ? '… ' : level === 'bad' || level === 'warn' ? mark + ' ' : '') + 'Log Streamer · ' + location.host;
};

// The heading of a page, or the part of the overview, gets the focus, so that the keyboard and
// screen readers are where the click led; on the way back the link that led away does.
addEventListener('hashchange', e => {
  closeDialog();
  draw();
  const {page} = route(), from = new URL(e.oldURL).hash;
  const target = document.getElementById(anchors.includes(page) ? page : 'page-title') ?? [...document.querySelectorAll('main a[href]')].find(a => from && a.hash === from);
  target?.focus();
  if (!target) scrollTo(0, 0);
});

const step = by => {
  const rows = [...document.querySelectorAll('a.row')], at = rows.indexOf(document.activeElement);
  rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))]?.focus();
};

const keys = {
  '/': () => document.getElementById('filter')?.focus(),
  j: () => step(1), k: () => step(-1),
  '?': () => location.hash = '#/keys',
  Escape: () => location.hash = '#/',
};

addEventListener('keydown', e => {
  if (dialogIsOpen() || e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.target.matches('input, select, textarea')) {
    if (e.key === 'Escape') e.target.blur();
    return;
  }
  if (!keys[e.key] || state.link === 'expired') return;
  e.preventDefault();
  keys[e.key]();
});

start(draw);

// Numbers and times in words. Each has its unit; unknown is a dash.

// whole groups the digits of a whole number; an Intl.NumberFormat takes about 8 ms to make.
const whole = value => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
// NO_BREAK keeps a number and its unit in one line.
const NO_BREAK = '\u00a0';
const known = value => typeof value === 'number' && isFinite(value);

export const count = value => {
  if (!known(value)) return '–';
  if (Math.abs(value) >= 1e9) return (value / 1e9).toFixed(2) + NO_BREAK + 'G';
  return Math.abs(value) >= 1e7 ? (value / 1e6).toFixed(1) + NO_BREAK + 'M' : whole(value);
};

// rate is a count a second; small ones keep a decimal.
export const rate = value => known(value) && value > 0 && value < 9.95 ? value.toFixed(1) : count(value);

export const perSecond = (value, noun) => `${rate(value)}${NO_BREAK}${noun}s/s`;

// percent is of a part; a part that is not 0 does not look like none.
export const percent = (value, digits = 1) => {
  if (!known(value)) return '–';
  const least = 10 ** -digits;
  return value > 0 && 100 * value < least / 2 ? `<${NO_BREAK}${least}${NO_BREAK}%` : (100 * value).toFixed(digits) + NO_BREAK + '%';
};

export const signed = value => known(value) ? (Math.round(value) > 0 ? '+' : Math.round(value) < 0 ? '−' : '') + count(Math.abs(Math.round(value))) : '–';

export const plural = (value, noun) => `${count(value)}${NO_BREAK}${noun}${value === 1 ? '' : 's'}`;

// span is a number of seconds.
export const span = seconds => {
  if (!known(seconds)) return '–';
  const rounded = Math.round(seconds), both = (n, unit, m, smaller) => [Math.floor(n), unit, Math.floor(m), smaller].join(NO_BREAK);
  if (seconds < 0.0005) return (seconds ? '<0.5' : '0') + NO_BREAK + 'ms';
  if (seconds < 0.01) return (1000 * seconds).toFixed(1) + NO_BREAK + 'ms';
  if (seconds < 0.9995) return Math.round(1000 * seconds) + NO_BREAK + 'ms';
  if (seconds < 9.95) return seconds.toFixed(1) + NO_BREAK + 's';
  if (rounded < 60) return rounded + NO_BREAK + 's';
  if (rounded < 3600) return both(rounded / 60, 'min', rounded % 60, 's');
  if (rounded < 86400) return both(rounded / 3600, 'h', rounded % 3600 / 60, 'min');
  return both(rounded / 86400, 'd', rounded % 86400 / 3600, 'h');
};

// age is a whole number of seconds.
export const age = seconds => seconds < 60 ? Math.floor(seconds) + NO_BREAK + 's' : span(seconds);

const units = {ns: 1e-9, us: 1e-6, 'µs': 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600};

// seconds reads a duration of the API, such as 1m30.5s.
export const seconds = text => {
  if (typeof text !== 'string') return NaN;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) sum += number * units[unit];
  return sum;
};

const two = n => String(n).padStart(2, '0');

export const clock = time => {
  const d = new Date(time);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
};

// settingUnits are the units of settings whose names have none, and of those whose names end in one.
const settingUnits = {rate_limit: 'messages/s', rate: 'messages/s', rate_burst: 'messages', burst: 'messages', max_packet_messages: 'messages',
  ingest_buffer_size: 'packets', per_analyzer_queue_size: 'packets', sec: 's', ms: 'ms', bytes: 'bytes'};

const unitOf = path => {
  const name = path.split('/').at(-1);
  return settingUnits[name] ?? settingUnits[name.split('_').at(-1)];
};

// value is a value of the API; a number has the unit of its path or name.
export const value = (v, path = '') => {
  if (v === undefined || v === null) return 'none';
  if (Array.isArray(v)) return v.map(x => value(x, path)).join(', ') || 'none';
  if (typeof v === 'object') return Object.entries(v).map(([name, x]) => `${name} ${value(x, name)}`).join(', ');
  if (typeof v !== 'number' || !path) return String(v);
  if (v === 0 && path.endsWith('rate_limit')) return 'no limit';
  const text = Number.isInteger(v) && !path.endsWith('port') ? whole(v) : String(v);
  return unitOf(path) ? text + NO_BREAK + unitOf(path) : text;
};

// words makes words of a name of the API, such as breaker_open.
export const words = name => String(name).replaceAll('_', ' ');

export const sentence = text => text ? text[0].toUpperCase() + text.slice(1) + '.' : '';

// list names some of many.
export const list = names => names.length < 4 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;

export const are = names => names.length === 1 ? 'is' : 'are';

// named isolates an id from the direction of a sentence: U+2068 and U+2069.
export const named = id => `\u2068${id}\u2069`;

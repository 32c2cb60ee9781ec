// Numbers and times in words. Each has its unit; unknown is a dash.

// whole groups the digits of a whole number; an Intl.NumberFormat takes about 8 ms to make.
const whole = value => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
const known = value => typeof value === 'number' && isFinite(value);

export const count = value => {
  if (!known(value)) return '–';
  if (Math.abs(value) >= 1e9) return (value / 1e9).toFixed(2) + ' G';
  return Math.abs(value) >= 1e7 ? (value / 1e6).toFixed(1) + ' M' : whole(value);
};

// rate is a count a second; small ones keep a decimal.
export const rate = value => known(value) && value > 0 && value < 9.95 ? value.toFixed(1) : count(value);

// percent is of a part; a part that is not 0 does not look like none.
export const percent = (value, digits = 1) => {
  if (!known(value)) return '–';
  const least = 10 ** -digits;
  return value > 0 && 100 * value < least / 2 ? `< ${least} %` : (100 * value).toFixed(digits) + ' %';
};

export const signed = value => known(value) ? (Math.round(value) > 0 ? '+' : Math.round(value) < 0 ? '−' : '') + count(Math.abs(Math.round(value))) : '–';

export const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? '' : 's'}`;

// span is a number of seconds.
export const span = seconds => {
  if (!known(seconds)) return '–';
  const rounded = Math.round(seconds);
  if (seconds < 0.0005) return seconds ? '<0.5 ms' : '0 ms';
  if (seconds < 0.01) return (1000 * seconds).toFixed(1) + ' ms';
  if (seconds < 0.9995) return Math.round(1000 * seconds) + ' ms';
  if (seconds < 9.95) return seconds.toFixed(1) + ' s';
  if (rounded < 60) return rounded + ' s';
  if (rounded < 3600) return `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
  if (rounded < 86400) return `${Math.floor(rounded / 3600)} h ${Math.floor(rounded % 3600 / 60)} min`;
  return `${Math.floor(rounded / 86400)} d ${Math.floor(rounded % 86400 / 3600)} h`;
};

// age is a whole number of seconds.
export const age = seconds => seconds < 60 ? `${Math.floor(seconds)} s` : span(seconds);

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

export const value = v => {
  if (v === undefined || v === null) return 'none';
  if (Array.isArray(v)) return v.map(value).join(', ') || 'none';
  return typeof v === 'object' ? Object.entries(v).map(([name, x]) => `${name} ${value(x)}`).join(', ') : String(v);
};

// words makes words of a name of the API, such as breaker_open.
export const words = name => String(name).replaceAll('_', ' ');

export const sentence = text => text ? text[0].toUpperCase() + text.slice(1) + '.' : '';

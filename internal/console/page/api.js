// The admin API. Whatever the console does goes through request and events.

// Problem is a refusal: the members of its document (RFC 9457). Its status is 0 without a response.
export class Problem extends Error {
  constructor(body) {
    super(body.detail || body.title);
    Object.assign(this, body);
  }
}

const problemOf = async response => {
  const body = await response.json().catch(() => ({}));
  return new Problem({title: `HTTP ${response.status}`, retryAfter: +response.headers.get('Retry-After') || 0, ...body, status: response.status});
};

const send = async (path, options) => {
  let response;
  try {
    response = await fetch(path, {cache: 'no-store', credentials: 'same-origin', ...options});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem({status: 0, title: 'no answer'});
  }
  if (!response.ok) throw await problemOf(response);
  return response;
};

// request returns the body of a response.
export const request = async (method, path, {body, revision, signal} = {}) => {
  const headers = {};
  if (method !== 'GET') headers['Content-Type'] = 'application/json';
  if (revision) headers['If-Match'] = `"${revision}"`;
  const timeout = AbortSignal.timeout(method === 'GET' ? 15000 : 60000);
  const response = await send(path, {method, headers, body: body && JSON.stringify(body), signal: signal ? AbortSignal.any([signal, timeout]) : timeout});
  return response.status === 204 ? null : response.json();
};

export const get = (path, signal) => request('GET', path, {signal});

// events reads server-sent events: onEvent gets {type, id, data} until the stream ends. fetch is
// used since EventSource does not tell an expired session from a lost network.
export const events = async (path, {signal, lastID, onOpen, onEvent, onBytes}) => {
  const headers = {Accept: 'text/event-stream'};
  if (lastID) headers['Last-Event-ID'] = lastID;
  const response = await send(path, {headers, signal});
  onOpen?.();
  const reader = response.body.getReader(), decoder = new TextDecoder();
  for (let rest = ''; ;) {
    const {done, value} = await reader.read();
    if (done) return;
    onBytes?.();
    const blocks = (rest + decoder.decode(value, {stream: true})).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const event = {};
      for (const line of block.split('\n')) {
        const at = line.indexOf(': ');
        if (at > 0) event[line.slice(0, at)] = line.slice(at + 2);
      }
      if (event.data) onEvent({type: event.event, id: event.id, data: JSON.parse(event.data)});
    }
  }
};

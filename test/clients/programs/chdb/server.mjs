// A ClickHouse server of one session: chDB has ClickHouse's engine, but not its HTTP interface. What is
// here is that interface as far as inserts and queries need it.
//
// node server.mjs HOST:PORT DIRECTORY, with the directory of node_modules/chdb in CHDB.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { gunzipSync } from 'node:zlib'

const { Session } = createRequire(`${process.env.CHDB}/`)('chdb')
const [host, port] = process.argv[2].split(':')
const session = new Session(process.argv[3])

// The statuses of ClickHouse (exceptionCodeToHTTPStatus) for some codes of exceptions; 500 for others.
const statuses = new Map([
  [400, [6, 26, 27, 41, 44, 53, 62, 72, 117]],
  [404, [47, 60, 81, 115]],
].flatMap(([status, codes]) => codes.map((code) => [code, status])))

// own are the parameters that are not settings of the query.
const own = ['query', 'wait_end_of_query']

// statement returns the statement of a request: its settings are in the query string.
function statement(parameters, body) {
  const settings = [...parameters].filter(([name]) => !own.includes(name)).map(([name, value]) => `${name}='${value}'`)
  const query = parameters.get('query')
  const format = query.lastIndexOf(' FORMAT ')
  if (!query.startsWith('INSERT') || settings.length === 0) return query + '\n' + body
  return `${query.slice(0, format)} SETTINGS ${settings.join(', ')}${query.slice(format)}\n${body}`
}

async function answer(request, response) {
  const url = new URL(request.url, 'http://localhost')
  if (url.pathname === '/ping') return response.end('Ok.\n')
  const parts = []
  for await (const part of request) parts.push(part)
  let body = Buffer.concat(parts)
  if (request.headers['content-encoding'] === 'gzip') body = gunzipSync(body)
  try {
    const result = await session.queryAsync(statement(url.searchParams, body), { format: 'JSONEachRow' })
    response.end(await result.text())
  } catch (error) {
    const code = error.clickhouseCode ?? 0
    response.writeHead(statuses.get(code) ?? 500, { 'X-ClickHouse-Exception-Code': code }).end(error.message + '\n')
  }
}

createServer(answer).listen(port, host)

import { once } from 'node:events'
import pino from 'pino'
import pinoLoki from 'pino-loki'

export function open ({ url, failed }) {
  let now
  console.error = failed
  const stream = pinoLoki({ host: url, labels: { service_name: 'shop' }, logFormat: '{msg}', batching: { interval: 0.1 } })
  const logger = pino({ base: { hostname: 'web-1' }, timestamp: () => `,"time":${now}` }, stream)
  return {
    send: ({ n, text, time }) => { now = time; logger.error({ meta: { n } }, text) },
    close: () => { stream.end(); return once(stream, 'close') }
  }
}

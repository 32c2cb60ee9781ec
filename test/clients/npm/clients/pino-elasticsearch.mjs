import { setTimeout as wait } from 'node:timers/promises'
import pino from 'pino'
import pinoElasticsearch from 'pino-elasticsearch'

export function open ({ url, failed }) {
  let now
  const stream = pinoElasticsearch({ node: url, index: 'shop', esVersion: 8, flushBytes: 5000, flushInterval: 200, retries: 30, wait: 500 })
  stream.on('error', failed)
  stream.on('insertError', failed)
  let inserted = 0
  stream.on('insert', ({ successful }) => { inserted = successful })
  const logger = pino({ base: { hostname: 'web-1' }, timestamp: () => `,"time":${now}` }, stream)
  return {
    send: ({ n, text, time }) => { now = time; logger.error({ n }, text) },
    close: async () => {
      stream.end()
      for (let waited = 0; inserted === 0 && waited < 45000; waited += 100) await wait(100)
    }
  }
}

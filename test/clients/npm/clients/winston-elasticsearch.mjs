import { setTimeout as wait } from 'node:timers/promises'
import winston from 'winston'
import { ElasticsearchTransport } from 'winston-elasticsearch'

export function open ({ url, failed }) {
  const transport = new ElasticsearchTransport({
    clientOpts: { node: url }, flushInterval: 100, index: 'logs', ensureIndexTemplate: false, bufferLimit: 10000,
    transformer: ({ message, level, meta }) => ({ '@timestamp': new Date(meta.time).toISOString(), message, severity: level, service: { name: 'shop' }, host: { name: 'web-1' }, n: meta.n })
  })
  transport.on('warning', failed)
  transport.on('error', failed)
  const logger = winston.createLogger({ transports: [transport] })
  logger.on('error', failed)
  return {
    send: ({ n, text, time }) => logger.log({ level: 'error', message: text, time, n }),
    close: async () => { // what is under way is in no list of the transport
      for (let idle = 0; idle < 20; idle = transport.bulkWriter.bulk.length === 0 ? idle + 1 : 0) await wait(100)
    }
  }
}

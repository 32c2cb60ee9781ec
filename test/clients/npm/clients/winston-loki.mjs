import { setTimeout as wait } from 'node:timers/promises'
import winston from 'winston'
import LokiTransport from 'winston-loki'

export function open ({ url, failed }, json = false) {
  const transport = new LokiTransport({
    host: url, json, labels: { service_name: 'shop', host: 'web-1' }, interval: 0.1, replaceTimestamp: false, timeout: 30000,
    format: winston.format.printf((info) => info.message), onConnectionError: failed
  })
  const logger = winston.createLogger({ transports: [transport] })
  return {
    send: ({ text, time }) => logger.log({ level: 'error', message: text, timestamp: new Date(time) }),
    close: async () => { // flush resolves too early, and close gives up after one failure
      const { batcher } = transport
      while (batcher.batchesSending > 0 || batcher.batch.streams.length > 0) await wait(100)
    }
  }
}

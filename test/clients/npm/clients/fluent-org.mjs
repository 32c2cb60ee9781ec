import { EventTime, FluentClient } from '@fluent-org/logger'

export function open ({ host, port, failed }) {
  const client = new FluentClient('app', {
    socket: { host, port, timeout: 40000, reconnect: { backoff: 1.5, delay: 100, maxDelay: 1000 } }, ack: { ackTimeout: 15000 },
    eventMode: 'CompressedPackedForward', eventRetry: { attempts: 50, minDelay: 100, maxDelay: 1000 }, sendQueueNotFlushableLimit: 10000, flushInterval: 50
  })
  client.socketOn('error', failed)
  const sent = []
  return {
    send: ({ n, text, time }) => sent.push(client.emit('web', { message: text, level: 'error', host: 'web-1', n }, EventTime.fromTimestamp(time)).catch(failed)),
    close: async () => { await Promise.all(sent); await client.shutdown() }
  }
}

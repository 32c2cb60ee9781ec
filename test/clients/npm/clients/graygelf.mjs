import { setTimeout as wait } from 'node:timers/promises'
import graygelf from 'graygelf'

export function open ({ host, port, failed }) {
  const client = graygelf({ host, port, compressType: 'gzip' })
  client.on('error', failed)
  return {
    send: ({ n, text, time }) => client.raw({ short_message: text, timestamp: time / 1000, level: 3, host: 'web-1', _service: 'shop', _n: n }),
    close: () => wait(500) // datagrams have no end
  }
}

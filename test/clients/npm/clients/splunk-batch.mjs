import { setTimeout as wait } from 'node:timers/promises'
import { Logger } from 'splunk-logging'

// splunk-logging calls back once for each request, of 20 events.
export function open ({ url, failed }) {
  const logger = new Logger({ url, token: 'token', maxRetries: 12, maxBatchCount: 20, batchInterval: 0, maxBatchSize: 0 })
  logger.eventFormatter = (message, severity) => ({ ...message, severity })
  logger.error = failed
  let [sent, answered] = [0, 0]
  return {
    send: ({ n, text, time }) => { sent++; logger.send({ message: { message: text, n }, metadata: { time, host: 'web-1', sourcetype: 'shop' }, severity: 'error' }, () => answered++) },
    close: async () => {
      while (answered < sent / 20) await wait(100)
    }
  }
}

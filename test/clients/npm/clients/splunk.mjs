import { setTimeout as wait } from 'node:timers/promises'
import winston from 'winston'
import SplunkStreamEvent from 'winston-splunk-httplogger'

export function open ({ url, failed }) {
  const transport = new SplunkStreamEvent({ exitOnError: false, splunk: { url, token: 'token', sourcetype: 'shop', maxRetries: 12, eventFormatter: (event, severity) => ({ ...event, severity }) } })
  transport.server.error = failed
  const logger = winston.createLogger({ transports: [transport] })
  let [sent, logged] = [0, 0]
  transport.on('logged', () => logged++)
  return {
    send: ({ n, text, time }) => { sent++; logger.log({ level: 'error', message: text, splunk: { time, host: 'web-1' }, n }) },
    close: async () => { // finish comes too early
      while (logged < sent) await wait(100)
    }
  }
}

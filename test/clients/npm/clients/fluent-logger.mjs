import fluent from 'fluent-logger'

const quiet = { info () {}, error () {} }

export function open ({ host, port, failed }, eventMode = 'Message') {
  const sender = fluent.createFluentSender('app', {
    host, port, timeout: 3, requireAckResponse: true, ackResponseTimeout: 40000, reconnectInterval: 100, eventMode, internalLogger: quiet,
    security: { clientHostname: 'web-1', sharedKey: 'secret' }
  })
  sender.on('error', failed)
  const sent = []
  return {
    send: ({ n, text, time }) => sent.push(new Promise((resolve) => {
      sender.emit('web', { message: text, level: 'error', host: 'web-1', n }, fluent.EventTime.fromTimestamp(time), resolve)
    })),
    close: () => Promise.all(sent)
  }
}

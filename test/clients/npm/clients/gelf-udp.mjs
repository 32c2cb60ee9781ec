import gelf from 'gelf-pro'

export function open ({ host, port, failed }, adapterName = 'udp') {
  gelf.setConfig({ adapterName, adapterOptions: { host, port } })
  const sent = []
  return {
    send: ({ n, text, time }) => sent.push(new Promise((resolve) => {
      gelf.error(text, { timestamp: time / 1000, host: 'web-1', service: 'shop', n }, (error) => { if (error) failed(error); resolve() })
    })),
    close: () => Promise.all(sent)
  }
}

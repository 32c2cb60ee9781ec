import { Client } from '@elastic/elasticsearch'

export async function sendAll ({ url, failed }, messages) {
  const client = new Client({ node: url })
  async function * documents () {
    for await (const { n, text, time } of messages) yield { '@timestamp': new Date(time).toISOString(), message: text, 'log.level': 'error', service: { name: 'shop' }, host: { name: 'web-1' }, n }
  }
  const result = await client.helpers.bulk({
    datasource: documents(), flushBytes: 10000, retries: 30, wait: 500, onDocument: () => ({ create: { _index: 'logs' } }), onDrop: ({ error }) => failed(error?.reason)
  })
  if (result.successful !== result.total) failed(`${result.failed} of ${result.total} failed`)
}

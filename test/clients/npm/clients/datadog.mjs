import { client, v2 } from '@datadog/datadog-api-client'

// datadog is the official client, which has no queue of its own: each request has 20 logs.
export function open ({ url, failed }) {
  const configuration = client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(url, {}), authMethods: { apiKeyAuth: 'key' }, enableRetry: true, maxRetries: 6
  })
  const api = new v2.LogsApi(configuration)
  const sent = []
  let batch = []
  const flush = () => {
    if (batch.length > 0) sent.push(api.submitLog({ body: batch, contentEncoding: 'gzip' }).catch(failed))
    batch = []
  }
  return {
    send: ({ n, text, time }) => {
      batch.push({ message: text, service: 'shop', hostname: 'web-1', ddsource: 'node', additionalProperties: { status: 'error', timestamp: String(time), n: String(n) } })
      if (batch.length === 20) flush()
    },
    close: () => { flush(); return Promise.all(sent) }
  }
}

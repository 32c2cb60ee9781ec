import { SeverityNumber } from '@opentelemetry/api-logs'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { diag, DiagLogLevel } from '@opentelemetry/api'

// otel is the SDK with one of its exporters, for which its settings are the usual ones.
export function otel (exporter, { failed }) {
  diag.setLogger({ error: failed, warn: failed, info () {}, debug () {}, verbose () {} }, DiagLogLevel.WARN)
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': 'shop', 'host.name': 'web-1' }),
    processors: [new BatchLogRecordProcessor({ exporter, maxExportBatchSize: 100, scheduledDelayMillis: 100, maxQueueSize: 4000, exportTimeoutMillis: 60000 })]
  })
  const logger = provider.getLogger('scope')
  return {
    send: ({ n, text, time }) => logger.emit({ timestamp: time, severityNumber: SeverityNumber.ERROR, severityText: 'ERROR', body: text, attributes: { n } }),
    close: () => provider.shutdown()
  }
}

import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { otel } from './otel.mjs'

export const open = (settings) => otel(new OTLPLogExporter({ url: `${settings.url}/v1/logs`, timeoutMillis: 60000 }), settings)

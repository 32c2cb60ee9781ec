import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc'
import { otel } from './otel.mjs'

export const open = (settings) => otel(new OTLPLogExporter({ url: `http://${settings.host}:${settings.port}`, timeoutMillis: 60000 }), settings)

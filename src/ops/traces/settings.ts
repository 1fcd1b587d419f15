import type { Environment } from '../../config/config.ts';

const ENDPOINTS = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];

/** So long the last spans may take at the end, in ms. */
export const FLUSH_MS = 2_000;

/**
 * Whether traces are wanted, by OpenTelemetry's own variables: an endpoint is named, and nothing switches it off. The standard
 * would export to this machine where no endpoint is named; who runs no collector shall not pay for that.
 */
export function wantsTraces(env: Environment): boolean {
  if (env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return false;
  const exporters = (env['OTEL_TRACES_EXPORTER']?.trim() || 'otlp').split(',').map((name) => name.trim());
  if (!exporters.includes('otlp')) return false;
  return ENDPOINTS.some((name) => env[name]?.trim());
}

import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { type Context, diag, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import { messageOf, StanddownError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { remember } from '../../base/secret.ts';
import type { Environment } from '../../config/config.ts';
import { exchange } from '../../defender/exchange.ts';
import type { Tracing } from '../../worker/tracing.ts';
import { createTelemetry } from './bullmq.ts';
import { traceExchange } from './exchange.ts';
import { FLUSH_MS } from './settings.ts';
import { type Spans, TRACER } from './spans.ts';

/* Only loaded where traces are wanted: it brings OpenTelemetry's SDK along. */

export interface Traces {
  spansFor(tenant: string): Spans;
  tracingFor(tenant: string): Tracing;
  /** What a log line says of the span that it belongs to; a new object each time. */
  ids(): { trace_id?: string; span_id?: string };
  /** Where it is said that something is wrong with them. */
  reportTo(log: Logger): void;
  /** Sends what is left, for so long at most as FLUSH_MS says, and ends. */
  stop(): Promise<void>;
}

/** An exporter that fails does so every few seconds; that is said as often as this, in ms. */
const SAY_AGAIN_MS = 300_000;

/** @throws StanddownError CONFIG_INVALID for a protocol that is not spoken. */
export async function openTraces(env: Environment, version: string): Promise<Traces> {
  takeOver(env);
  let report: (facts: object, words: string) => void = () => undefined;
  const mistakes: string[] = [];
  const note = (words: string) => void mistakes.push(words);
  const ignore = () => undefined;
  diag.setLogger({ error: note, warn: note, info: ignore, debug: ignore, verbose: ignore });
  const exporter = watched(await openExporter(env), (facts, words) => report(facts, words));
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'standdown',
      'service.version': version,
      'service.instance.id': randomUUID(),
      ...envDetector.detect().attributes,
    }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  // What is wrong with the variables has been said; what fails later is told by the exporter.
  diag.disable();
  const tracer = provider.getTracer(TRACER, version);
  const contexts = createContexts();
  const spansFor = (tenant: string): Spans => ({
    tracer,
    contexts,
    attributes: { 'standdown.tenant': tenant },
  });
  return {
    spansFor,
    tracingFor: (tenant) => {
      const spans = spansFor(tenant);
      return {
        telemetry: createTelemetry(spans),
        span: () => trace.getSpan(contexts.active()),
        send: traceExchange(spans, exchange),
        apart:
          (run) =>
          (...args) =>
            contexts.with(ROOT_CONTEXT, () => run(...args)),
      };
    },
    ids: () => {
      const of = trace.getSpanContext(contexts.active());
      return of ? { trace_id: of.traceId, span_id: of.spanId } : {};
    },
    reportTo: (log) => {
      report = (facts, words) => log.warn(facts, words);
      for (const words of mistakes.splice(0)) log.warn(`tracing: ${words}`);
    },
    stop: () => within(FLUSH_MS, provider.shutdown()),
  };
}

/** The SDK reads the process' environment, and only that: what a file given by --env-file says has to be there. */
function takeOver(env: Environment): void {
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith('OTEL_') && value !== undefined) process.env[name] = value;
    if (/^OTEL_EXPORTER_OTLP_(?:TRACES_)?HEADERS$/.test(name)) hide(value ?? '');
  }
}

/** Headers carry the collector's password or key. */
function hide(headers: string): void {
  for (const pair of headers.split(',')) {
    const value = pair.slice(pair.indexOf('=') + 1).trim();
    remember(value);
    try {
      remember(decodeURIComponent(value));
    } catch {
      // It is sent as it stands.
    }
  }
}

async function openExporter(env: Environment): Promise<SpanExporter> {
  const protocol =
    env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL']?.trim() || env['OTEL_EXPORTER_OTLP_PROTOCOL']?.trim();
  switch (protocol || 'http/protobuf') {
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter();
    default:
      throw new StanddownError(
        'CONFIG_INVALID',
        `OTEL_EXPORTER_OTLP_PROTOCOL: unsupported protocol ${protocol}; use http/protobuf or http/json`,
      );
  }
}

/** Says that spans are lost: the SDK keeps that to itself, and nothing else is to suffer from it. */
function watched(exporter: SpanExporter, report: (facts: object, words: string) => void): SpanExporter {
  let saidAt = Number.NEGATIVE_INFINITY;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        if (result.error && performance.now() - saidAt > SAY_AGAIN_MS) {
          saidAt = performance.now();
          report({ err: messageOf(result.error), spans: spans.length }, 'cannot export traces');
        }
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
  };
}

/** Our own, and not the process': nothing that is not ours is followed. */
function createContexts(): Spans['contexts'] {
  const storage = new AsyncLocalStorage<Context>();
  return {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, run) => storage.run(active, run),
  };
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  await Promise.race([work.catch(() => undefined), over.promise]);
  clearTimeout(timer);
}

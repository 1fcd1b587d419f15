import {
  type Attributes,
  type Context,
  createContextKey,
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { Telemetry, Span as TelemetrySpan } from 'bullmq';
import { excerpt } from '../../base/foreign.ts';
import { type JobTrace, readJobTrace, writeJobTrace } from '../../base/traceparent.ts';
import type { Spans } from './spans.ts';

/** What of BullMQ's attributes goes into a span, by the names of the semantic conventions. Options and results do not. */
const NAMES: Readonly<Record<string, string>> = {
  'bullmq.queue.name': 'messaging.destination.name',
  'bullmq.queue.operation': 'messaging.operation.name',
  'bullmq.job.id': 'messaging.message.id',
  'bullmq.job.bulk.count': 'messaging.batch.message_count',
};

const LONGEST = 200;

/** Where fromMetadata leaves a link for startSpan. */
const LINK = createContextKey('standdown link');

/**
 * BullMQ's interface to tracing. Of its spans those for adding and for working on a job are made; the others (moving a job,
 * holding a lane) say nothing that the events of a request do not.
 *
 * Not bullmq-otel: that throws over metadata that is no JSON, which anybody may write into a job, and BullMQ then leaves the
 * job lying until it stalls, for ever. It also writes each result into the span, and carries the program's baggage into Redis.
 */
export function createTelemetry(spans: Spans): Telemetry<Context> {
  const { tracer, contexts, attributes } = spans;
  return {
    tracer: {
      startSpan: (name, { kind } = { kind: SpanKind.INTERNAL as number }, parent) => {
        if (kind !== SpanKind.PRODUCER && kind !== SpanKind.CONSUMER) return NO_SPAN;
        // What is worked on belongs to where it came from, and not to what this worker did before.
        const context: Context = parent ?? (kind === SpanKind.CONSUMER ? ROOT_CONTEXT : contexts.active());
        const link = context.getValue(LINK) as Link | undefined;
        const own = { 'messaging.system': 'bullmq', 'messaging.operation.type': TYPES[kind], ...attributes };
        return jobSpan(tracer.startSpan(name, { kind, attributes: own, links: link ? [link] : [] }, context));
      },
    },
    contextManager: {
      with: (context, run) => contexts.with(context, run as () => ReturnType<typeof run>),
      active: () => contexts.active(),
      root: () => ROOT_CONTEXT,
      getMetadata,
      fromMetadata: (_active, metadata) => contextOf(readJobTrace(metadata)),
    },
  };
}

const TYPES = { [SpanKind.PRODUCER]: 'send', [SpanKind.CONSUMER]: 'process' };

/** Empty where there is no trace: BullMQ then keeps nothing. */
function getMetadata(context: Context): string {
  const of = trace.getSpanContext(context);
  if (!of || !trace.isSpanContextValid(of)) return '';
  const tracestate = of.traceState?.serialize();
  const parent = { traceId: of.traceId, spanId: of.spanId, flags: of.traceFlags };
  return writeJobTrace({ kind: 'parent', parent, ...(tracestate && { tracestate }) });
}

function contextOf(jobTrace: JobTrace | null): Context {
  if (!jobTrace) return ROOT_CONTEXT;
  const { parent, tracestate } = jobTrace;
  const of = {
    traceId: parent.traceId,
    spanId: parent.spanId,
    traceFlags: parent.flags,
    isRemote: true,
    ...(tracestate && { traceState: createTraceState(tracestate) }),
  };
  const link: Link = { context: of };
  return jobTrace.kind === 'link'
    ? ROOT_CONTEXT.setValue(LINK, link)
    : trace.setSpanContext(ROOT_CONTEXT, of);
}

function jobSpan(span: Span): TelemetrySpan<Context> {
  const setAttributes = (given: object) => {
    const known: Attributes = {};
    for (const [key, value] of Object.entries(given)) {
      const name = NAMES[key];
      if (name !== undefined) known[name] = typeof value === 'string' ? excerpt(value, LONGEST) : value;
    }
    span.setAttributes(known);
  };
  return {
    setSpanOnContext: (context) => trace.setSpan(context, span),
    setAttribute: (key, value) => setAttributes({ [key]: value }),
    setAttributes,
    addEvent: (name) => {
      if (name === 'job failed') span.setStatus({ code: SpanStatusCode.ERROR });
    },
    // What an error says in words may hold anything; the log has it, with this span's id.
    recordException: (exception) => {
      const { name = 'Error', code } = Object(exception) as { name?: string; code?: string | number };
      span.recordException(code === undefined ? { name } : { name, code });
    },
    end: () => span.end(),
  };
}

const NO_SPAN: TelemetrySpan<Context> = {
  setSpanOnContext: (context) => context,
  setAttribute: () => undefined,
  setAttributes: () => undefined,
  addEvent: () => undefined,
  recordException: () => undefined,
  end: () => undefined,
};

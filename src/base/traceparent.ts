/** Where something belongs in a trace, as W3C Trace Context writes it (https://www.w3.org/TR/trace-context/). */
export interface TraceParent {
  traceId: string;
  spanId: string;
  /** Bit 0: sampled. */
  flags: number;
}

const FORM = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Null where it is none. What a later version says besides is left out. */
export function parseTraceparent(text: unknown): TraceParent | null {
  const [, version, traceId = '', spanId = '', flags = '', rest] =
    typeof text === 'string' && text.length <= MOST_LENGTH ? (FORM.exec(text) ?? []) : [];
  if (version === undefined || (version === '00' && rest !== undefined)) return null;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

export function formatTraceparent({ traceId, spanId, flags }: TraceParent): string {
  return `00-${traceId}-${spanId}-${(flags & 1).toString(16).padStart(2, '0')}`;
}

/** As the standard says of `tracestate`; a `traceparent` is shorter. */
const MOST_LENGTH = 512;

/** What BullMQ keeps with a job as its telemetry's metadata (`opts.tm`). As bullmq-otel writes it; `link` is ours. */
export interface JobTrace {
  /** `parent`: the job is a part of that trace. `link`: it has one of its own, which points there. */
  kind: 'parent' | 'link';
  parent: TraceParent;
  tracestate?: string;
}

/** Others write it, too: null where it says nothing that can be used. Never throws: BullMQ would leave the job lying. */
export function readJobTrace(metadata: unknown): JobTrace | null {
  if (typeof metadata !== 'string' || metadata.length > 4 * MOST_LENGTH) return null;
  const fields = parsed(metadata);
  const state: unknown = fields['tracestate'];
  for (const [name, kind] of [
    ['traceparent', 'parent'],
    ['link', 'link'],
  ] as const) {
    const parent = parseTraceparent(fields[name]);
    if (!parent) continue;
    const isState = typeof state === 'string' && state !== '' && state.length <= MOST_LENGTH;
    return { kind, parent, ...(isState && { tracestate: state }) };
  }
  return null;
}

export function writeJobTrace({ kind, parent, tracestate }: JobTrace): string {
  const name = kind === 'link' ? 'link' : 'traceparent';
  return JSON.stringify({ [name]: formatTraceparent(parent), ...(tracestate && { tracestate }) });
}

/** The same, of a `traceparent` as text; null where it is none. */
export function jobTraceOf(kind: JobTrace['kind'], traceparent: string | null): string | null {
  const parent = parseTraceparent(traceparent);
  return parent && writeJobTrace({ kind, parent });
}

function parsed(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

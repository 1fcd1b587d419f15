import { type Attributes, type Context, context, type Tracer, trace } from '@opentelemetry/api';

/** With what spans are made, and how the one that something belongs to is known. */
export interface Spans {
  tracer: Tracer;
  contexts: {
    active(): Context;
    with<T>(active: Context, run: () => T): T;
  };
  /** Of every span. */
  attributes: Attributes;
}

export const TRACER = 'standdown';

/** Those of the program that this runs in; where it has no tracer they come to nothing. */
export function spansOfProgram(tenant: string): Spans {
  return { tracer: trace.getTracer(TRACER), contexts: context, attributes: { 'standdown.tenant': tenant } };
}

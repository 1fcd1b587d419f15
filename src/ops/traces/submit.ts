import { type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import { formatTraceparent } from '../../base/traceparent.ts';
import type { NewCampaign } from '../../store/campaign/registry.ts';
import type { SubmitSummary } from '../../store/campaign/submit.ts';
import type { Spans } from './spans.ts';

/**
 * Submits under a span of its own. A campaign that is opened so remembers it: each of its ids has a trace of its own, hours
 * later, which is linked to it.
 */
export function traceSubmit<Summary extends SubmitSummary>(
  { tracer, contexts, attributes }: Spans,
  wanted: NewCampaign,
  submit: (wanted: NewCampaign) => Promise<Summary>,
): Promise<Summary> {
  const own = { 'standdown.campaign': wanted.name, ...attributes };
  const context = contexts.active();
  const span = tracer.startSpan('submit', { attributes: own }, context);
  return contexts.with(trace.setSpan(context, span), async () => {
    try {
      const summary = await submit({ ...wanted, traceparent: traceparentOf(span) });
      const { accepted, already } = summary;
      span.setAttributes({ 'standdown.accepted': accepted, 'standdown.already': already });
      return summary;
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

function traceparentOf(span: Span): string | null {
  const of = span.spanContext();
  if (!trace.isSpanContextValid(of)) return null;
  return formatTraceparent({ traceId: of.traceId, spanId: of.spanId, flags: of.traceFlags });
}

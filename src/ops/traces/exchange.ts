import { type Attributes, type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { Exchange, HttpAnswer, NoAnswer, Send } from '../../defender/exchange.ts';
import type { Spans } from './spans.ts';

/**
 * Makes calls under a span each, by OpenTelemetry's conventions for HTTP clients. Nothing of a trace is sent along: whom it is
 * for is no part of it. Headers, bodies and queries do not go into the span.
 */
export function traceExchange({ tracer, contexts, attributes }: Spans, send: Send): Send {
  return (dispatcher, call) => {
    const options = { kind: SpanKind.CLIENT, attributes: { ...describeCall(call), ...attributes } };
    const name = call.template === undefined ? call.method : `${call.method} ${call.template}`;
    const span = tracer.startSpan(name, options, contexts.active());
    return send(dispatcher, call).then((answer) => {
      describeAnswer(span, answer);
      span.end();
      return answer;
    });
  };
}

function describeCall({ origin, path, method, template }: Exchange): Attributes {
  const { protocol, hostname, port } = new URL(origin);
  const [pathname = ''] = path.split('?', 1);
  return {
    'http.request.method': method,
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    // A list's query names a hundred ids.
    'url.full': origin + pathname,
    ...(template !== undefined && { 'url.template': template }),
  };
}

function describeAnswer(span: Span, answer: HttpAnswer | NoAnswer): void {
  if (answer.kind === 'answer') {
    span.setAttribute('http.response.status_code', answer.status);
    if (answer.status >= 400) fail(span, String(answer.status));
  } else {
    // Whether it may have been received: `unsent` or `lost`.
    span.setAttribute('standdown.answer', answer.kind);
    fail(span, answer.code);
  }
}

function fail(span: Span, type: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

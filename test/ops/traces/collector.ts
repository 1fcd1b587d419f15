import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { readProtobuf } from './protobuf.ts';

export type Value = string | number | boolean;

export interface SeenEvent {
  name: string;
  attributes: Record<string, Value>;
}

/** A span as it arrived, ids in hex. */
export interface SeenSpan {
  service: string;
  traceId: string;
  spanId: string;
  /** Empty: the first of its trace. */
  parentSpanId: string;
  name: string;
  kind: number;
  attributes: Record<string, Value>;
  events: SeenEvent[];
  links: { traceId: string; spanId: string }[];
  /** 2: an error. */
  status: number;
}

/** As OTLP numbers them; the API's are one less. */
export const KIND = { internal: 1, client: 3, producer: 4, consumer: 5 } as const;

/** What it does with what it is sent: a status, or never an answer. */
export type Manner = number | 'silent';

/** A small OTLP receiver: real HTTP, JSON and protobuf. */
export interface Collector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans: SeenSpan[];
  /** Each request as it came. */
  requests: { path: string; headers: IncomingHttpHeaders; body: Buffer }[];
  manner: Manner;
  close(): Promise<void>;
}

export async function startCollector(manner: Manner = 200): Promise<Collector> {
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const { headers, url: path = '' } = request;
    collector.requests.push({ path, headers, body });
    if (collector.manner === 'silent') return;
    if (collector.manner === 200) {
      const isJson = headers['content-type'] === 'application/json';
      collector.spans.push(...(isJson ? readJson(JSON.parse(body.toString())) : readProtobuf(body)));
    }
    response.writeHead(collector.manner, { 'content-type': headers['content-type'] }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const collector: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    requests: [],
    manner,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return collector;
}

interface JsonAttribute {
  key: string;
  value: { stringValue?: string; intValue?: number | string; doubleValue?: number; boolValue?: boolean };
}

interface JsonSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: JsonAttribute[];
  events: { name: string; attributes: JsonAttribute[] }[];
  links: { traceId: string; spanId: string }[];
  status: { code: number };
}

interface JsonExport {
  resourceSpans: {
    resource: { attributes: JsonAttribute[] };
    scopeSpans: { spans: JsonSpan[] }[];
  }[];
}

function readJson({ resourceSpans }: JsonExport): SeenSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service: String(attributesOf(resource.attributes)['service.name']),
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? '',
        name: span.name,
        kind: span.kind,
        attributes: attributesOf(span.attributes),
        events: span.events.map(({ name, attributes }) => ({ name, attributes: attributesOf(attributes) })),
        links: span.links.map(({ traceId, spanId }) => ({ traceId, spanId })),
        status: span.status.code,
      })),
    ),
  );
}

function attributesOf(list: JsonAttribute[]): Record<string, Value> {
  return Object.fromEntries(
    list.map(({ key, value }) => [
      key,
      value.stringValue ?? value.boolValue ?? value.doubleValue ?? Number(value.intValue),
    ]),
  );
}

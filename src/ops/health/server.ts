import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import { messageOf, StanddownError } from '../../base/errors.ts';
import { foreign } from '../../base/foreign.ts';
import type { Health } from '../../worker/vitals.ts';

export interface HealthServer {
  port: number;
  close(): Promise<void>;
}

export interface HealthSource {
  live(): Health;
  ready(): Health;
  /** Null: there are none to be had. */
  metrics: (() => Promise<Exposition>) | null;
}

/** Figures for Prometheus. */
export interface Exposition {
  contentType: string;
  text: string;
}

export interface HealthPlace {
  /** An IP address of this machine. Whoever reaches it can ask: there is no password. */
  host: string;
  /** 0: any free one. */
  port: number;
}

/** Whoever asks has one short line to say. */
const LIMITS = {
  connectionsCheckingInterval: 1_000,
  requestTimeout: 5_000,
  headersTimeout: 5_000,
  keepAliveTimeout: 1_000,
  maxHeaderSize: 8_192,
};

/** Those who ask must not use up the sockets that calls need. */
const MOST_CONNECTIONS = 64;

/**
 * Serves `GET /healthz` and `GET /readyz`: 200 when all is in order, otherwise 503; the body, as JSON, says what is not. And
 * `GET /metrics`, where there are any.
 *
 * @throws StanddownError CONFIG_INVALID when the place cannot be had.
 */
export async function serveHealth(place: HealthPlace, source: HealthSource): Promise<HealthServer> {
  const server = createServer(LIMITS, (request, response) => answer(request, response, source));
  server.maxConnections = MOST_CONNECTIONS;
  server.listen(place);
  await once(server, 'listening').catch((cause: unknown) => {
    throw new StanddownError('CONFIG_INVALID', describeFailure(place, cause), { cause });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function describeFailure({ host, port }: HealthPlace, cause: unknown): string {
  const where = `cannot listen on ${isIPv6(host) ? `[${host}]` : host}:${port} (${messageOf(cause)})`;
  return Reflect.get(Object(cause), 'code') === 'EADDRNOTAVAIL'
    ? `HEALTH_HOST: ${where}; use an address of this machine`
    : `HEALTH_PORT: ${where}; choose another port`;
}

function answer(request: IncomingMessage, response: ServerResponse, source: HealthSource): void {
  const [path] = (request.url ?? '').split('?');
  const metrics = path === '/metrics' ? source.metrics : null;
  const look = path === '/healthz' ? source.live : path === '/readyz' ? source.ready : null;
  if (!look && !metrics) send(response, 404, { error: 'not found; use /healthz, /readyz or /metrics' });
  else if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(response, 405, { error: 'use GET' });
  } else if (metrics) {
    void expose(response, metrics);
  } else if (look) {
    const health = look();
    send(response, health.ok ? 200 : 503, health);
  }
}

async function expose(response: ServerResponse, metrics: () => Promise<Exposition>): Promise<void> {
  try {
    const { contentType, text } = await metrics();
    response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' });
    response.end(text);
  } catch (error) {
    send(response, 500, { error: foreign(messageOf(error), 300) });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

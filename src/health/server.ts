import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, StanddownError } from '../errors.ts';
import type { Health } from './vitals.ts';

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

/** Loopback only: it asks for no password. */
const HOST = '127.0.0.1';

/** Whoever asks has one short line to say. */
const LIMITS = {
  requestTimeout: 5_000,
  headersTimeout: 5_000,
  keepAliveTimeout: 1_000,
  maxHeaderSize: 8_192,
};

/**
 * Serves `GET /healthz` and `GET /readyz`: 200 when all is in order, otherwise 503; the body, as JSON, says what is not. And
 * `GET /metrics`, where there are any.
 *
 * @param port 0 for any free one.
 * @throws StanddownError CONFIG_INVALID when the port cannot be had.
 */
export async function serveHealth(port: number, source: HealthSource): Promise<HealthServer> {
  const server = createServer(LIMITS, (request, response) => answer(request, response, source));
  server.listen({ host: HOST, port });
  await once(server, 'listening').catch((cause: unknown) => {
    const message = `HEALTH_PORT: cannot listen on ${HOST}:${port} (${messageOf(cause)}); choose another port`;
    throw new StanddownError('CONFIG_INVALID', message, { cause });
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

function answer(request: IncomingMessage, response: ServerResponse, source: HealthSource): void {
  const [path] = (request.url ?? '').split('?');
  const metrics = path === '/metrics' ? source.metrics : null;
  const look = path === '/healthz' ? source.live : path === '/readyz' ? source.ready : null;
  if (!look && !metrics) send(response, 404, { error: 'there are /healthz, /readyz and /metrics' });
  else if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(response, 405, { error: 'ask with GET' });
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
    send(response, 500, { error: messageOf(error) });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

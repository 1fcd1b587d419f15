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
 * Serves `GET /healthz` and `GET /readyz`: 200 when all is in order, otherwise 503; the body, as JSON, says what is not.
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
  const look = path === '/healthz' ? source.live : path === '/readyz' ? source.ready : null;
  if (!look) send(response, 404, { error: 'there are /healthz and /readyz' });
  else if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(response, 405, { error: 'ask with GET' });
  } else {
    const health = look();
    send(response, health.ok ? 200 : 503, health);
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

import { once } from 'node:events';
import { createServer as createProxy, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import { Agent, request } from 'undici';
import type { Simulator } from '../../src/simulator/index.ts';

/** A request as it would have reached Microsoft. */
export interface Asked {
  host: string;
  path: string;
  /** Of a request for a token. */
  scope: string | null;
}

/** A proxy that is all of Microsoft's hosts itself, and leads to a simulator on this machine, nowhere else. */
export interface StandIn {
  /** For HTTPS_PROXY. */
  url: string;
  /** Its own authority, PEM. */
  authority: string;
  /** The hosts and ports that tunnels were opened to. */
  readonly tunnels: ReadonlySet<string>;
  readonly asked: readonly Asked[];
  lead(simulator: Simulator): void;
  forget(): void;
  close(): Promise<void>;
}

/** @param hosts whose certificate it has; TLS with any other fails. */
export async function startStandIn(hosts: readonly string[]): Promise<StandIn> {
  const made = await generate([{ name: 'commonName', value: 'stand-in' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames: hosts.map((value) => ({ type: 2 as const, value })) },
    ],
  });
  const tunnels = new Set<string>();
  const asked: Asked[] = [];
  // The simulator's own certificate is not what this is about.
  const agent = new Agent({ connect: { rejectUnauthorized: false } });
  let simulator: Simulator | null = null;

  async function handOn(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(message);
    const host = message.headers.host ?? '';
    asked.push({ host, path: message.url ?? '', scope: new URLSearchParams(body).get('scope') });
    const isMeant = host === (message.socket as TLSSocket).servername && simulator !== null;
    if (!isMeant || !simulator) return void response.writeHead(421).end();
    const base = host.startsWith('login.') ? simulator.authorityUrl : simulator.apiUrl;
    const answer = await request(`${base}${message.url}`, {
      dispatcher: agent,
      method: message.method === 'POST' ? 'POST' : 'GET',
      headers: message.headers as Record<string, string>,
      ...(body !== '' && { body }),
    });
    response.writeHead(answer.statusCode, answer.headers).end(await answer.body.text());
  }

  const secure = createServer({ cert: made.cert, key: made.private }, (message, response) => {
    handOn(message, response).catch(() => response.destroy());
  });
  const proxy = createProxy((_request, response) => response.writeHead(405).end());
  proxy.on('connect', (message, socket) => {
    tunnels.add(message.url ?? '');
    socket.on('error', () => socket.destroy());
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    secure.emit('connection', socket);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    authority: made.cert,
    tunnels,
    asked,
    lead: (to) => {
      simulator = to;
    },
    forget: () => {
      tunnels.clear();
      asked.length = 0;
    },
    close: async () => {
      proxy.close();
      secure.closeAllConnections();
      await Promise.all([once(proxy, 'close'), agent.close()]);
    },
  };
}

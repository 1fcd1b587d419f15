import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Notice } from '../../../src/ops/notices/notice.ts';
import type { ServerCertificate } from '../../../src/simulator/certificate.ts';

export interface Received {
  headers: IncomingHttpHeaders;
  path: string;
  body: string;
  notice: Notice;
  at: number;
}

/** What a receiver does with a request: a status, never an answer, or a 200 whose body does not end. */
export type Manner = number | 'silent' | 'endless';

export interface Receiver {
  port: number;
  url: string;
  /** In the order of their arrival. */
  received: Received[];
  /** Connections so far. */
  connections: number;
  manner: Manner;
  headers: Record<string, string>;
  close(): Promise<void>;
}

/** A real HTTP server that keeps what it is told; with a certificate over TLS. */
export async function startReceiver(
  port = 0,
  manner: Manner = 204,
  certificate: ServerCertificate | null = null,
): Promise<Receiver> {
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const { headers, url: path = '' } = request;
      receiver.received.push({ headers, path, body, notice: JSON.parse(body), at: performance.now() });
      if (receiver.manner === 'silent') return;
      if (receiver.manner === 'endless') response.writeHead(200).write('.');
      else response.writeHead(receiver.manner, receiver.headers).end();
    });
  };
  const server = certificate ? createTlsServer(certificate, listener) : createServer(listener);
  server.on('connection', () => {
    receiver.connections++;
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const { port: opened } = server.address() as AddressInfo;
  let closing: Promise<unknown> | null = null;
  const receiver: Receiver = {
    port: opened,
    url: `${certificate ? 'https' : 'http'}://127.0.0.1:${opened}/hook`,
    received: [],
    connections: 0,
    manner,
    headers: {},
    close: async () => {
      if (!closing) {
        closing = once(server, 'close');
        server.close();
        server.closeAllConnections();
      }
      await closing;
    },
  };
  return receiver;
}

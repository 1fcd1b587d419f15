import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import tls from 'node:tls';
import { makeServerCertificate } from '../../src/simulator/certificate.ts';

/** What is written in answer to one request, byte for byte, and what then becomes of the connection. */
export interface RawAnswer {
  chunks: readonly Buffer[];
  after: 'keep' | 'end' | 'reset';
}

export interface Asked {
  method: string;
  path: string;
  host: string;
  /** The request line and the headers, as they came. */
  head: string;
  body: string;
}

export interface AnswerServer {
  url: string;
  asked: Asked[];
  /** Which answer a request gets. */
  answer: (asked: Asked) => RawAnswer;
  /** Where answers try to lead clients to. */
  elsewhere: { url: string; connections: number };
  stop(): Promise<void>;
}

/** A TLS server that answers as no server should, and one beside it that nobody must come to. */
export async function startAnswerServer(authorities: readonly string[]): Promise<AnswerServer> {
  const certificate = await makeServerCertificate();
  tls.setDefaultCACertificates([...authorities, certificate.cert]);
  const elsewhere = { url: '', connections: 0 };
  const trap = createTcpServer((socket) => {
    elsewhere.connections++;
    socket.destroy();
  });
  elsewhere.url = `https://localhost:${await listen(trap)}`;
  const sockets = new Set<tls.TLSSocket>();
  const server = tls.createServer(certificate, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    serve(socket, (asked) => {
      self.asked.push(asked);
      return self.answer(asked);
    });
  });
  const self: AnswerServer = {
    url: `https://localhost:${await listen(server)}`,
    asked: [],
    answer: () => ({ chunks: [], after: 'end' }),
    elsewhere,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all([close(server), close(trap)]);
      tls.setDefaultCACertificates([...authorities]);
    },
  };
  return self;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

function serve(socket: tls.TLSSocket, answerTo: (asked: Asked) => RawAnswer): void {
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    for (;;) {
      const end = received.indexOf('\r\n\r\n');
      if (end === -1) return;
      const head = received.slice(0, end);
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
      if (received.length < end + 4 + length) return;
      const [, method = '', path = ''] = /^(\S+) (\S+) HTTP\/1\.1/.exec(head) ?? [];
      const host = /^host: (\S+)$/im.exec(head)?.[1] ?? '';
      const body = received.slice(end + 4, end + 4 + length);
      received = received.slice(end + 4 + length);
      send(socket, answerTo({ method, path, host, head, body }));
    }
  });
}

function send(socket: tls.TLSSocket, { chunks, after }: RawAnswer): void {
  for (const chunk of chunks) socket.write(chunk);
  if (after === 'end') socket.end();
  if (after === 'reset') socket.destroy();
}

/** A well-formed answer. */
export function plainAnswer(status: number, body: string | Buffer, headers = ''): RawAnswer {
  const bytes = Buffer.from(body);
  const head = `HTTP/1.1 ${status} OK\r\ncontent-type: application/json\r\n${headers}content-length: ${bytes.length}\r\n\r\n`;
  return { chunks: [Buffer.from(head), bytes], after: 'keep' };
}

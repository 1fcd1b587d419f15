import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { BlockList, isIPv6, type Socket } from 'node:net';
import { networkOf } from './guesses.ts';

/** In all, and of one address that is no proxy's: it must not take the places of all others. */
const MOST_CONNECTIONS = 1_000;
const MOST_OF_ADDRESS = 250;

/** So long an upload may take to arrive, in ms: 512 MiB over a slow line. */
const UPLOAD_MS = 15 * 60_000;

const LIMITS = {
  connectionsCheckingInterval: 2_000,
  headersTimeout: 10_000,
  requestTimeout: UPLOAD_MS,
  keepAliveTimeout: 10_000,
  maxHeaderSize: 16_384,
};

/** A server on which nobody holds much by being slow, or by being many. @param proxies addresses and networks. */
export function createLimitedServer(proxies: readonly string[], handler: RequestListener): Server {
  const server = createServer(LIMITS, handler);
  server.maxConnections = MOST_CONNECTIONS;
  const trusted = networksOf(proxies);
  const counts = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '' } = socket;
    if (trusted.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')) return;
    const address = networkOf(remoteAddress);
    const count = (counts.get(address) ?? 0) + 1;
    if (count > MOST_OF_ADDRESS) {
      socket.destroy();
      return;
    }
    counts.set(address, count);
    socket.once('close', () => {
      const left = (counts.get(address) ?? 1) - 1;
      if (left > 0) counts.set(address, left);
      else counts.delete(address);
    });
  });
  return server;
}

function networksOf(texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [address = '', length] = text.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (length === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(length), family);
  }
  return list;
}

const deadlines = new WeakMap<IncomingMessage, NodeJS.Timeout>();

const LATE = 'The request took too long to arrive. Try again.\n';
const LATE_ANSWER = `HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${LATE.length}\r\n\r\n${LATE}`;
const LINGER_MS = 1_000;

/** Ends a request whose body has not arrived in time; also one that was answered before, for its rest is read, too. */
export function limitBody(request: IncomingMessage, response: ServerResponse, ms: number): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  if (encoding === undefined && length === '0') return;
  const late = () => {
    if (request.complete) return;
    const { socket } = request;
    if (!response.headersSent) socket.end(LATE_ANSWER);
    setTimeout(() => socket.destroy(), response.headersSent ? 0 : LINGER_MS).unref();
  };
  const timer = setTimeout(late, ms);
  deadlines.set(request, timer);
  for (const event of ['end', 'close']) request.once(event, () => clearTimeout(timer));
}

/** Gives one as long as an upload may take. */
export function allowUpload(request: IncomingMessage): void {
  clearTimeout(deadlines.get(request));
}

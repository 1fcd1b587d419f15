import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { BlockList, isIPv6, type Socket } from 'node:net';
import { networkOf } from './guesses.ts';

/**
 * Connections without a request that was let in: of one address that is no proxy's, and in all. Beyond that the one that has
 * waited longest is closed: whoever opens many keeps nobody else out.
 */
const MOST_OF_ADDRESS = 250;
const MOST = 750;

/** So long an upload may take to arrive, in ms: 512 MiB over a slow line. */
const UPLOAD_MS = 15 * 60_000;

const LIMITS = {
  connectionsCheckingInterval: 2_000,
  headersTimeout: 10_000,
  requestTimeout: UPLOAD_MS,
  keepAliveTimeout: 10_000,
  maxHeaderSize: 16_384,
};

/** Those of a server that may be closed for others, in the order in which they began to wait, with their addresses. */
type Waiting = Map<Socket, string>;

const waitingOf = new WeakMap<Socket, { waiting: Waiting; address: string; requests: number }>();

/** A server on which nobody holds much by being slow, or by being many. @param proxies addresses and networks. */
export function createLimitedServer(proxies: readonly string[], handler: RequestListener): Server {
  const server = createServer(LIMITS, handler);
  const trusted = networksOf(proxies);
  const waiting: Waiting = new Map();
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '' } = socket;
    const isProxy = trusted.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4');
    const address = isProxy ? '' : networkOf(remoteAddress);
    waitingOf.set(socket, { waiting, address, requests: 0 });
    makeRoom(waiting, address);
    waiting.set(socket, address);
    socket.once('close', () => waiting.delete(socket));
  });
  return server;
}

function makeRoom(waiting: Waiting, address: string): void {
  const near = address === '' ? [] : [...waiting].filter(([, other]) => other === address);
  const [oldest] = near.length >= MOST_OF_ADDRESS ? near : waiting.size >= MOST ? waiting : [];
  oldest?.[0].destroy();
  if (oldest) waiting.delete(oldest[0]);
}

/** Keeps a connection open for a request that was let in, until that is answered. */
export function keepOpen(socket: Socket, response: ServerResponse): void {
  const state = waitingOf.get(socket);
  if (!state) return;
  const { waiting, address } = state;
  state.requests++;
  waiting.delete(socket);
  response.once('close', () => {
    if (--state.requests === 0 && !socket.destroyed) waiting.set(socket, address);
  });
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

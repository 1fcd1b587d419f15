import { TLSSocket } from 'node:tls';
import type { FastifyReply } from 'fastify';
import type { Answer } from './answer.ts';
import type { Call, Calls } from './calls.ts';
import { resetSocket } from './reset.ts';

/** A call and the way its answer goes. */
export interface Line {
  call: Call;
  calls: Calls;
  reply: FastifyReply;
}

export function send(line: Line, answer: Answer): void {
  note(line, answer);
  line.reply.code(answer.status).headers(answer.headers).send(answer.body);
}

/** Promises the whole body, sends half of it and closes the connection. */
export function sendHalf(line: Line, answer: Answer): void {
  note(line, answer);
  const { raw } = line.reply.hijack();
  const body = Buffer.from(answer.body);
  raw.writeHead(answer.status, { ...answer.headers, 'content-length': body.length });
  raw.write(body.subarray(0, Math.floor(body.length / 2)), () => raw.socket?.destroySoon());
}

/** Resets the connection. Under TLS Node offers no reset; there the connection ends without a goodbye. */
export function reset({ reply }: Line): void {
  const { socket } = reply.hijack().raw;
  if (socket instanceof TLSSocket) socket.destroy();
  else if (socket) resetSocket(socket);
}

/** Never answers. Closing the server ends the connection. */
export function hang({ reply }: Line): void {
  reply.hijack();
}

function note({ call, calls }: Line, answer: Answer): void {
  call.status = answer.status;
  call.answeredAtMs = calls.elapsedMs();
}

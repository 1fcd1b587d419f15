import { Buffer } from 'node:buffer';
import type { Dispatcher } from 'undici';
import { messageOf } from '../base/errors.ts';
import { decodeBody, encodingsIn } from './content-encoding.ts';

/** More of an answer is not read, nor decoded: the largest legitimate one, a page of the list, is well below it. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/** The code of an answer that was longer. */
export const TOO_LARGE = 'TOO_LARGE';

/** The code of an answer whose encoding is broken, or not known. */
const UNDECODABLE = 'UNDECODABLE';

export interface Exchange {
  origin: string;
  path: string;
  /** The path with names in place of what is in it, for whom calls of one kind belong together. */
  template?: string;
  method: 'GET' | 'POST';
  headers: Record<string, string>;
  body?: string;
  /** The answer has to be complete by then, in ms from now. */
  timeoutMs: number;
  /** Aborts the call, whether sent or not. */
  signal?: AbortSignal;
  /** Asked at the very moment of writing to the socket; false: do not send. */
  maySend?: () => boolean;
}

/** A complete answer, whatever its status. */
export interface HttpAnswer {
  kind: 'answer';
  status: number;
  /** Lower-case names. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
}

/** No answer, or not a complete one. */
export interface NoAnswer {
  /** `unsent`: not a byte of the request was written. `lost`: it may have been received, and its answer was lost. */
  kind: 'unsent' | 'lost';
  /** A system's or undici's error code. */
  code: string;
  message: string;
}

/** How a call is made: by `exchange`, or by something around it. */
export type Send = typeof exchange;

/**
 * Makes one HTTP call, never repeated.
 *
 * Written on undici's dispatch rather than its request method, because its handler is told right before the request is
 * written: only so can a call that never left be told from one whose answer was lost.
 */
export function exchange(dispatcher: Dispatcher, call: Exchange): Promise<HttpAnswer | NoAnswer> {
  return new Promise((resolve) => {
    let sent = false;
    let ended = false;
    let abort: ((reason: Error) => void) | null = null;
    let status = 0;
    let headers: HttpAnswer['headers'] = {};
    const chunks: Buffer[] = [];
    let size = 0;

    const end = (result: HttpAnswer | NoAnswer) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', onAbort);
      resolve(result);
    };
    const giveUp = (code: string, message: string) => {
      end({ kind: sent ? 'lost' : 'unsent', code, message });
      abort?.(new Error(message));
    };
    const onAbort = () => giveUp('ABORTED', 'the call was aborted');
    const timer = setTimeout(
      () => giveUp('TIMEOUT', `no answer within ${Math.round(call.timeoutMs)} ms`),
      call.timeoutMs,
    );
    call.signal?.addEventListener('abort', onAbort, { once: true });
    if (call.signal?.aborted) return onAbort();

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        abort = (reason) => controller.abort(reason);
        if (ended) return controller.abort(new Error('too late'));
        if (call.maySend && !call.maySend())
          return giveUp('TOO_LATE', 'the worker was delayed before sending');
        sent = true;
      },
      onResponseStart(_controller, statusCode, received) {
        status = statusCode;
        headers = received;
      },
      onResponseData(_controller, chunk) {
        size += chunk.length;
        if (size > MAX_BODY_BYTES) giveUp(TOO_LARGE, 'the answer is too large');
        else chunks.push(chunk);
      },
      onResponseEnd() {
        const bytes = Buffer.concat(chunks);
        const answered = (body: Buffer) =>
          end({ kind: 'answer', status, headers, body: body.toString('utf8') });
        const encodings = encodingsIn(headers['content-encoding']);
        // An answer without a body may name an encoding all the same.
        if (encodings.length === 0 || bytes.length === 0) return answered(bytes);
        decodeBody(bytes, encodings, MAX_BODY_BYTES).then(answered, (error) => {
          const code = codeOf(error) === 'ERR_BUFFER_TOO_LARGE' ? TOO_LARGE : UNDECODABLE;
          end({ kind: 'lost', code, message: messageOf(error) });
        });
      },
      onResponseError(_controller, error) {
        giveUp(...failureOf(error));
      },
    };
    const { origin, path, method, body } = call;
    // Without a word on it, a gateway may compress.
    const asked = { 'accept-encoding': 'identity', ...call.headers };
    try {
      dispatcher.dispatch(
        { origin, path, method, headers: asked, ...(body !== undefined && { body }) },
        handler,
      );
    } catch (error) {
      giveUp(...failureOf(error));
    }
  });
}

/** The proxy of HTTPS_PROXY wants to know who asks, or does not believe it. */
export const PROXY_AUTH_REQUIRED = 'PROXY_AUTH_REQUIRED';

/** undici tells a proxy's refusal by its text alone. */
function failureOf(error: unknown): [code: string, message: string] {
  const message = messageOf(error);
  const status = /^Proxy response \((\d{3})\) !== 200/.exec(message)?.[1];
  if (status === '407')
    return [
      PROXY_AUTH_REQUIRED,
      'the proxy requires a user name and password (407); HTTPS_PROXY has none, or wrong ones',
    ];
  if (status !== undefined) return ['PROXY_REFUSED', `the proxy answered ${status} instead of connecting`];
  return [codeOf(error), message];
}

function codeOf(error: unknown): string {
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  if (typeof code === 'string') return code;
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? 'NETWORK' : codeOf(cause);
}

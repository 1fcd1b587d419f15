import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';
import { Redis } from 'ioredis';

/*
 * Loaded into a worker before anything else (`node --import`): kills or stops it at one point of the way of a request.
 *
 * FAULT_POINT is `<signal> <when> <step> <count>`: SIGKILL or SIGSTOP, `before` or `after` the `count`-th time that a step is
 * taken. A step is `call` (the HTTP call to the API), or the name of a script in Redis: Standdown's own (`standdown:begin`) and BullMQ's (`moveToFinished-…`,
 * by its beginning).
 */
const [signal = '', when = '', step = '', count = '1'] = (process.env['FAULT_POINT'] ?? '').split(' ');
let left = Number(count);

function pass(at: 'before' | 'after', what: string): void {
  // Once: a stopped one goes on after it was continued.
  if (at !== when || !what.startsWith(step) || --left !== 0) return;
  writeSync(2, `fault point: ${at} ${what}\n`);
  process.kill(process.pid, signal);
}

/** Scripts become methods of the connection, one each. */
const defineCommand = Redis.prototype.defineCommand;
Redis.prototype.defineCommand = function (this: Redis, name, definition) {
  defineCommand.call(this, name, definition);
  const run: unknown = Reflect.get(this, name);
  if (typeof run !== 'function') return;
  Reflect.set(this, name, async (...args: unknown[]) => {
    pass('before', name);
    const reply: unknown = await run.apply(this, args);
    pass('after', name);
    return reply;
  });
};

subscribe('undici:request:create', (message) => {
  if (isCancel(message)) pass('before', 'call');
});
subscribe('undici:request:headers', (message) => {
  if (isCancel(message)) pass('after', 'call');
});

function isCancel(message: unknown): boolean {
  const request: unknown = Reflect.get(Object(message), 'request');
  return String(Reflect.get(Object(request), 'path')).endsWith('/cancel');
}

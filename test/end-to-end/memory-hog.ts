import { subscribe } from 'node:diagnostics_channel';

/*
 * Loaded into a worker before anything else (`node --import`): uses up its memory from the HOG_AFTER-th call on.
 */
let left = Number(process.env['HOG_AFTER']);
const kept: number[][] = [];

subscribe('undici:request:create', (message) => {
  const request: unknown = Reflect.get(Object(message), 'request');
  if (!String(Reflect.get(Object(request), 'path')).endsWith('/cancel')) return;
  // Once this call is on its way, too.
  if (--left === 0) setTimeout(useUp, 20);
});

/** With doubles: small integers, or holes, would take next to nothing. */
function useUp(): void {
  for (;;) kept.push(Array.from({ length: 200_000 }, (_, index) => index + 0.5));
}

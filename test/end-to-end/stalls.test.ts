import { after, before, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { killInARow } from './stalls-support.ts';

let server: TestRedis;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

it('two workers are killed in mid-call, one after the other: their requests go on', (t) =>
  killInARow(t, server, { kills: 2, env: { CALL_TIMEOUT: '12s' } }));

import { after, before, it } from 'node:test';
import { TIMINGS } from '../../src/config/timings.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { killInARow } from './stalls-support.ts';

let server: TestRedis;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

it('six workers are killed in mid-call, one after the other, with settings as they come', (t) =>
  killInARow(t, server, { kills: 6, timings: TIMINGS }));

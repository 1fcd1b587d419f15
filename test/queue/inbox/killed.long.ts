import { after, before, it } from 'node:test';
import { TIMINGS } from '../../../src/config/timings.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { drainThroughKills } from './killed.ts';

let server: TestRedis;

before(async () => {
  server = await openTestRedis('inbox');
});
after(() => server.close());

it('100,000 entries from Python get through workers that are killed, each once', (t) =>
  drainThroughKills(t, server, { entries: 100_000, kills: 5, withinMs: 600_000, timings: TIMINGS }));

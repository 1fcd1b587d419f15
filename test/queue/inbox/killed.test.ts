import { after, before, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { SHORT } from '../../support/timings.ts';
import { drainThroughKills } from './killed.ts';

let server: TestRedis;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

it('800 entries from Python get through workers that are killed, each once', (t) =>
  drainThroughKills(t, server, { entries: 800, kills: 2, withinMs: 60_000, timings: SHORT }));

import { after, before, describe } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { itRuns } from './as-process.ts';
import { openShell, type Shell } from './shell.ts';

describe('the commands', () => {
  let server: TestRedis;
  let shell: Shell;

  before(async () => {
    server = await openTestRedis();
    shell = await openShell(server);
  });
  after(async () => {
    await shell.close();
    await server.close();
  });

  describe('as processes', () => {
    itRuns(
      () => shell,
      [
        [['budget'], 0, /^calls +window/, /^$/],
        [['pause', 'nobody'], 2, /^$/, /^standdown: no campaign "nobody" in tenant /],
        [['verify', 'nobody'], 2, /^$/, /^standdown: cannot sign in to read machine actions; missing: /],
      ],
    );
  });
});

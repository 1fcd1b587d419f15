import { after, before, describe, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { signWhileOff } from './clock-support.ts';

describe("a machine's clock is wrong", { concurrency: true }, () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  it("20 min behind the sign-in service's, and signs with a certificate: it is held, says why, and goes on", (t) =>
    signWhileOff(t, server, -20, '20 min behind'));

  it("10 min ahead of the sign-in service's, and signs with a certificate: it is held, says why, and goes on", (t) =>
    signWhileOff(t, server, 10, '10 min ahead of'));
});

import Bottleneck from 'bottleneck';
import { Redis } from 'ioredis';
import type { Quota } from '../../../src/simulator/limiter.ts';
import { createCaller, readOptions, receiveIds } from './program.ts';

/*
 * Bottleneck: two limiters with reservoirs, chained, so that a call has to pass both; a 429 is tried again after the time it
 * names (its "failed" event). One process keeps its state itself; several share it in Redis (its "Clustering"). The longer
 * window comes first: the last gate is then the tight one, and a call waits there with its place in the longer one.
 *
 * `node bottleneck.ts '<options>' evenly` keeps the shorter window by `minTime` instead, as its "Quick Start" does: never two
 * calls closer together than one in a hundred of it.
 */
const options = readOptions();
const isEven = process.argv[3] === 'evenly';
const { cancel, close } = createCaller(options);
const [short, long] = options.quotas;
const isShared = options.processes > 1;

class Refused extends Error {
  readonly retryAfterMs: number;
  constructor(retryAfterMs: number) {
    super('429');
    this.retryAfterMs = retryAfterMs;
  }
}

function open(name: string, rule: Bottleneck.ConstructorOptions) {
  const limiter = new Bottleneck({
    ...rule,
    ...(isShared && {
      id: `${options.label}-${name}`,
      datastore: 'ioredis',
      clientOptions: { path: options.socket },
      Redis,
      // In a cluster the reservoir is refreshed by a heartbeat, every 5 s: as often as that in windows of real length.
      heartbeatInterval: short.windowMs / 12,
    }),
  });
  limiter.on('error', (error) => void process.stderr.write(`${error.message}\n`));
  return limiter;
}

function reservoirOf({ max, windowMs }: Quota): Bottleneck.ConstructorOptions {
  return { reservoir: max, reservoirRefreshAmount: max, reservoirRefreshInterval: windowMs };
}

const outer = open('long', reservoirOf(long));
const inner = open('short', {
  ...(isEven ? { minTime: short.windowMs / short.max } : reservoirOf(short)),
  // One limit for the whole cluster.
  maxConcurrent: options.concurrency * options.processes,
});
inner.on('failed', async (error) => (error instanceof Refused ? error.retryAfterMs : null));
outer.chain(inner);
await Promise.all([outer.ready(), inner.ready()]);

// "Strongly recommended" for clusters; shorter than the longest wait it would give up calls that only wait.
const expiration = isShared ? { expiration: 2 * long.windowMs + 60_000 } : {};
const ids = await receiveIds();
await Promise.all(
  ids.map((id) =>
    outer.schedule({ id, ...expiration }, async () => {
      const answer = await cancel(id);
      if (answer.refused) throw new Refused(answer.retryAfterMs);
    }),
  ),
);
await Promise.all([outer.disconnect(), inner.disconnect()]);
await close();

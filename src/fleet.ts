import { once } from 'node:events';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { messageOf } from './errors.ts';
import type { Vitals } from './health/vitals.ts';
import type { Logger } from './log.ts';
import { Secret } from './secret.ts';

/** One tenant's part of a worker. */
export interface Member {
  vitals(): Vitals;
  /** Aborted when it cannot go on as it is. */
  failed: AbortSignal;
  /** Finishes the calls in flight. */
  stop(): Promise<void>;
}

export interface FleetDeps {
  start(config: Config): Promise<Member>;
  clock: Clock;
  log: Logger;
}

/** After a failure a tenant is started again so many ms later, and twice as many after each further one. */
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** How long a tenant may take to stop beyond what a call may take, in ms. */
const STOP_MS = 10_000;

/** What ran for so long, in ms, has not failed at its start. */
const SETTLED_MS = 60_000;

interface Post {
  config: Config;
  /** Null while it is not running. */
  member: Member | null;
  leaving: AbortController;
  gone: Promise<void>;
}

/**
 * The tenants that one process works for. What happens to one of them holds none of the others: one that fails is started
 * again by itself, later and later.
 */
export function createFleet(deps: FleetDeps) {
  const { clock, log } = deps;
  const posts = new Map<string, Post>();
  /** One after the other: hundreds at once would open all their connections together. */
  let starting: Promise<unknown> = Promise.resolve();
  let changing: Promise<unknown> = Promise.resolve();

  function add(label: string, config: Config): void {
    const leaving = new AbortController();
    const post: Post = { config, member: null, leaving, gone: Promise.resolve() };
    post.gone = keep(label, post);
    posts.set(label, post);
  }

  async function keep(tenant: string, post: Post): Promise<void> {
    const { signal } = post.leaving;
    for (let pauseMs = PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      const startedAt = clock.monotonic();
      try {
        post.member = await startNext(post);
        await untilEither(post.member.failed, signal);
        post.member.failed.throwIfAborted();
      } catch (error) {
        if (signal.aborted) break;
        if (clock.monotonic() - startedAt >= SETTLED_MS) pauseMs = PAUSE_MS;
        log.error({ tenant, err: messageOf(error), againInMs: pauseMs }, 'tenant failed; the others go on');
      }
      await leave(post);
      await clock.sleep(pauseMs, signal).catch(() => undefined);
    }
    await leave(post);
  }

  function startNext({ config, leaving }: Post): Promise<Member> {
    const started = starting.then(() => {
      leaving.signal.throwIfAborted();
      return deps.start(config);
    });
    starting = started.catch(() => undefined);
    return started;
  }

  async function leave(post: Post): Promise<void> {
    const { member } = post;
    post.member = null;
    if (!member) return;
    // Where Redis is away it would wait for as long; what it leaves others take over, as from a worker that was killed.
    const waiting = new AbortController();
    const limit = clock.sleep(post.config.callTimeoutMs + STOP_MS, waiting.signal).catch(() => undefined);
    await Promise.race([member.stop(), limit]).finally(() => waiting.abort());
  }

  async function remove(label: string): Promise<void> {
    const post = posts.get(label);
    posts.delete(label);
    post?.leaving.abort();
    await post?.gone;
  }

  /** Changed ones have ended before they begin again: two would take each other's jobs. */
  async function change(configs: readonly Config[]): Promise<Changes> {
    const wanted = new Map(configs.map((config) => [config.tenant ?? '', config]));
    const changes: Changes = { added: [], changed: [], removed: [] };
    const leaving: Promise<void>[] = [];
    for (const [label, post] of [...posts]) {
      const next = wanted.get(label);
      if (next && fingerprint(next) === fingerprint(post.config)) continue;
      changes[next ? 'changed' : 'removed'].push(label);
      leaving.push(remove(label).then(() => next && add(label, next)));
    }
    for (const [label, config] of wanted) {
      if (posts.has(label) || changes.changed.includes(label)) continue;
      changes.added.push(label);
      add(label, config);
    }
    await Promise.all(leaving);
    return changes;
  }

  return {
    /** Makes these its tenants: starts, stops and starts anew what it takes. One change after the other. */
    set: (configs: readonly Config[]): Promise<Changes> => {
      const done = changing.then(() => change(configs));
      changing = done.catch(() => undefined);
      return done;
    },
    /** By label; null: not running for now. */
    vitals: (): Map<string, Vitals | null> =>
      new Map([...posts].map(([label, { member }]) => [label, member?.vitals() ?? null])),
    stop: async () => {
      await changing;
      await Promise.all([...posts.keys()].map(remove));
    },
  };
}

/** Labels. */
export interface Changes {
  added: string[];
  changed: string[];
  removed: string[];
}

async function untilEither(one: AbortSignal, other: AbortSignal): Promise<void> {
  const either = AbortSignal.any([one, other]);
  if (!either.aborted) await once(either, 'abort');
}

/** Secrets as they are: they are compared, and go nowhere. */
function fingerprint(config: Config): string {
  return JSON.stringify(config, function (this: Readonly<Record<string, unknown>>, name, value: unknown) {
    const secret = this[name];
    return secret instanceof Secret ? secret.reveal() : value;
  });
}

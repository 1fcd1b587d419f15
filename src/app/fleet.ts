import { once } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { messageOf, StanddownError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import type { Timings } from '../config/timings.ts';
import type { Vitals } from '../worker/vitals.ts';
import { byLabel, type Changes, changesBetween } from './fleet-changes.ts';

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
  timings: Timings;
  log: Logger;
}

/** How a tenant is doing. */
export interface Standing {
  /** Null while it does not run. */
  vitals: Vitals | null;
  /** Why it does not, in a word or two; empty: it is being started, or stops. */
  trouble: string;
}

/** What ran for so long, in ms, has not failed at its start. */
const SETTLED_MS = 60_000;

interface Post {
  /** What is to run; null: nothing any more. */
  wanted: Config | null;
  /** Aborted when something else is wanted. */
  poke: AbortController;
  member: Member | null;
  trouble: string;
  /** Until nothing is wanted, and nothing runs. */
  done: Promise<void>;
}

/**
 * The tenants that one process works for. What happens to one of them holds none of the others: each is started, changed and
 * stopped by itself, and one that fails is started again, later and later.
 */
export function createFleet(deps: FleetDeps) {
  const { clock, timings, log } = deps;
  const posts = new Map<string, Post>();
  /** One after the other: hundreds at once would open all their connections together. */
  let starting: Promise<unknown> = Promise.resolve();
  let stopped = false;

  function want(label: string, config: Config | null): void {
    const post = posts.get(label);
    if (post) {
      post.wanted = config;
      post.poke.abort();
    } else if (config) {
      const fresh: Post = {
        wanted: config,
        poke: new AbortController(),
        member: null,
        trouble: '',
        done: Promise.resolve(),
      };
      posts.set(label, fresh);
      fresh.done = keep(label, fresh);
    }
  }

  /** Runs what is wanted until nothing is. The one before has stopped: two would take each other's jobs. */
  async function keep(label: string, post: Post): Promise<void> {
    let pauseMs = timings.firstTenantPauseMs;
    while (post.wanted) {
      const config = post.wanted;
      post.poke = new AbortController();
      const { signal } = post.poke;
      const startedAt = clock.monotonic();
      try {
        post.member = await startNext(config, signal);
        post.trouble = '';
        await untilEither(post.member.failed, signal);
        if (!signal.aborted) post.member.failed.throwIfAborted();
        pauseMs = timings.firstTenantPauseMs;
      } catch (error) {
        if (signal.aborted) continue;
        if (clock.monotonic() - startedAt >= SETTLED_MS) pauseMs = timings.firstTenantPauseMs;
        post.trouble = error instanceof StanddownError ? error.code : 'failed';
        log.error(
          { tenant: label, err: messageOf(error), againInMs: pauseMs },
          'tenant failed; retrying, other tenants continue',
        );
        await leave(post, config);
        await clock.sleep(pauseMs, signal).catch(() => undefined);
        pauseMs = Math.min(2 * pauseMs, timings.lastTenantPauseMs);
      } finally {
        await leave(post, config);
      }
    }
    posts.delete(label);
  }

  function startNext(config: Config, signal: AbortSignal): Promise<Member> {
    const started = starting.then(() => {
      signal.throwIfAborted();
      return deps.start(config);
    });
    starting = started.catch(() => undefined);
    return started;
  }

  async function leave(post: Post, { callTimeoutMs }: Config): Promise<void> {
    const { member } = post;
    post.member = null;
    if (!member) return;
    // Where Redis is away it would wait for as long; what it leaves others take over, as from a worker that was killed.
    const waiting = new AbortController();
    const limit = clock.sleep(callTimeoutMs + timings.stopGraceMs, waiting.signal).catch(() => undefined);
    await Promise.race([member.stop(), limit]).finally(() => waiting.abort());
  }

  return {
    /** Makes these its tenants; it does not wait until they run, or have stopped. Once it is stopped, nothing. */
    set: (configs: readonly Config[]): Changes => {
      const running = new Map([...posts].flatMap(([label, { wanted }]) => (wanted ? [[label, wanted]] : [])));
      const next = byLabel(stopped ? [] : configs);
      const changes = changesBetween(running, next);
      for (const label of changes.removed) want(label, null);
      for (const label of [...changes.added, ...changes.changed]) want(label, next.get(label) ?? null);
      return changes;
    },
    /** By label. */
    standings: (): Map<string, Standing> =>
      new Map(
        [...posts].map(([label, { member, trouble }]) => [
          label,
          { vitals: member?.vitals() ?? null, trouble },
        ]),
      ),
    stop: async () => {
      stopped = true;
      const all = [...posts];
      for (const [label] of all) want(label, null);
      await Promise.all(all.map(([, { done }]) => done));
    },
  };
}

async function untilEither(one: AbortSignal, other: AbortSignal): Promise<void> {
  const either = AbortSignal.any([one, other]);
  if (!either.aborted) await once(either, 'abort');
}

import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Limits } from '../../config/limits.ts';
import type { NotifyConfig } from '../../config/notices.ts';
import type { Timings } from '../../config/timings.ts';
import { glance } from '../../store/budget/glance.ts';
import { type Campaign, DIRECT_PREFIX, readCampaign } from '../../store/campaign/registry.ts';
import type { Keys } from '../../store/keys.ts';
import type { Ledger } from '../../store/ledger/ledger.ts';
import type { RedisClient } from '../../store/script.ts';
import { eventsOf, type Notice, STALE_MS } from './notice.ts';
import { type Claimed, createOutbox } from './outbox.ts';
import { createPoster, type Poster } from './poster.ts';
import { AT_ONCE, createWatcher } from './seen.ts';

export interface NotifierDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
  limits: Limits;
  /** Its label. */
  tenant: string;
  config: NotifyConfig;
  clock: Clock;
  timings: Timings;
  log: Logger;
}

export interface Notifier {
  start(): void;
  /** Lets the try that is under way come to its end. */
  stop(): Promise<void>;
}

/** Older campaigns are not looked at. */
const MOST_CAMPAIGNS = 500;

/** How many notices are remembered as told, so that Redis is not asked again and again. */
const MOST_KNOWN = 10_000;

/**
 * Posts a notice when a campaign ends, is blocked for long, or is paused after refusals. Events are found by looking at what
 * stands in Redis, so that a worker that dies loses nothing; notices are sent by a loop of its own, so that nothing waits for them.
 */
export function createNotifier(deps: NotifierDeps): Notifier {
  const { redis, keys, config, clock, timings, log } = deps;
  const { noticeAgainMs: againMs } = timings;
  const stopping = new AbortController();
  const outbox = createOutbox(deps);
  const watch = createWatcher({ ...deps, noteOver: outbox.noteOver });
  const poster = createPoster({ ...config, timings, wall: clock.wall });
  const known = new Set<string>();
  let running: Promise<unknown> = Promise.resolve();
  let wake = new AbortController();

  async function look(): Promise<void> {
    const budget = await glance(redis, keys, deps.limits);
    // A full window is no trouble.
    const [hold = null] = budget.holds;
    const { heldSince, ...times } = await outbox.look(hold !== null);
    const held = hold !== null && heldSince !== null ? { hold, since: heldSince } : null;
    const situation = {
      tenant: deps.tenant,
      ...times,
      held,
      holdMs: config.holdMs,
      quietMs: timings.noticeQuietMs,
    };
    for (const seen of await watch(await readNamed(redis, keys), situation.now)) {
      for (const event of eventsOf(seen, situation)) {
        const { id, kind } = event.notice;
        if (known.has(id)) continue;
        if (await outbox.put(event))
          log.debug({ notice: kind, campaign: event.notice.campaign }, 'notice queued');
        if (known.size >= MOST_KNOWN) known.clear();
        known.add(id);
        wake.abort();
      }
    }
  }

  async function send(): Promise<void> {
    // Before looking: what is put from here on wakes the next pause.
    wake = new AbortController();
    for (let claimed = await outbox.claim(); claimed; claimed = await outbox.claim()) {
      await tryOnce(claimed, poster);
      if (stopping.signal.aborted) return;
    }
  }

  async function tryOnce(claimed: Claimed, { host, post }: Poster): Promise<void> {
    const posted = await post(claimed.id, claimed.body);
    const { kind, campaign, at } = JSON.parse(claimed.body) as Notice;
    const facts = { notice: kind, campaign, tries: claimed.tries, host };
    if (posted.ok) {
      log.info(facts, 'notice delivered');
      return outbox.end(claimed, null);
    }
    const isStale = claimed.now - Date.parse(at) >= STALE_MS + config.holdMs;
    const againInMs = isStale ? null : (againMs[claimed.tries - 1] ?? againMs.at(-1) ?? timings.noticeLookMs);
    if (againInMs === null) log.error({ ...facts, why: posted.why }, 'notice not delivered; giving up');
    else log.warn({ ...facts, why: posted.why, againInMs }, 'notice not delivered; retrying');
    await outbox.end(claimed, againInMs);
  }

  /** Goes on whatever happens: Redis may be away for a while. */
  async function repeat(run: () => Promise<void>, pause: () => AbortSignal): Promise<void> {
    while (!stopping.signal.aborted) {
      await run().catch((err) => log.debug({ err }, 'looking for notices failed, retrying'));
      await clock.sleep(timings.noticeLookMs, pause()).catch(() => undefined);
    }
  }

  function untilWoken(): AbortSignal {
    return AbortSignal.any([stopping.signal, wake.signal]);
  }

  return {
    start: () => {
      running = Promise.all([repeat(look, () => stopping.signal), repeat(send, untilWoken)]);
    },
    stop: async () => {
      stopping.abort();
      await running;
      await poster.close();
    },
  };
}

/** The newest named campaigns. */
async function readNamed(redis: RedisClient, keys: Keys): Promise<Campaign[]> {
  const named = Object.entries(await redis.hgetall(keys.campaigns))
    .filter(([name]) => !name.startsWith(DIRECT_PREFIX))
    .map(([, number]) => Number(number))
    .sort((a, b) => b - a)
    .slice(0, MOST_CAMPAIGNS);
  const campaigns: Campaign[] = [];
  // The calls' own commands go over this connection, too: they must not wait for all of it.
  for (let at = 0; at < named.length; at += AT_ONCE) {
    const part = named.slice(at, at + AT_ONCE).map((number) => readCampaign(redis, keys, number));
    campaigns.push(...(await Promise.all(part)).filter((campaign) => campaign !== null));
  }
  return campaigns;
}

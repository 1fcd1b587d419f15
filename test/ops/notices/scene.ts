import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { guidsToBytes } from '../../../src/base/guid.ts';
import type { Timings } from '../../../src/config/timings.ts';
import type { NoticeKind } from '../../../src/ops/notices/notice.ts';
import { makeActions } from '../../../src/simulator/index.ts';
import { submitCampaign } from '../../../src/store/campaign/submit.ts';
import { type Field, openField } from '../../end-to-end/support.ts';
import { openTestRedis } from '../../support/redis.ts';
import { eventually } from '../../support/wait.ts';
import { type Manner, type Receiver, startReceiver } from './receiver.ts';

export const SECRET = 'the-receivers-own-secret';

export const LIMITS = '100000/1s';

export interface Scene {
  field: Field;
  receiver: Receiver;
  /** Puts another campaign in. */
  submit(name: string, count: number, seed: number): Promise<void>;
  openOf(name: string): Promise<number>;
}

export async function openScene(
  t: TestContext,
  ids: number,
  {
    manner = 204,
    env = {},
    timings,
  }: { manner?: Manner; env?: Record<string, string>; timings?: Timings } = {},
): Promise<Scene> {
  const server = await openTestRedis();
  const receiver = await startReceiver(0, manner);
  const own = { NOTIFY_URL: receiver.url, NOTIFY_SECRET: SECRET, NOTIFY_ALLOW_PRIVATE: 'true' };
  const field = await openField(server, {
    limits: LIMITS,
    apart: false,
    ids,
    ...(timings && { timings }),
    env: { ...own, LOG_LEVEL: 'info', ...env },
  });
  t.after(async () => {
    await field.close();
    await receiver.close();
    await server.close();
  });
  const { tenant, simulator, redis } = field;
  return {
    field,
    receiver,
    submit: async (name, count, seed) => {
      const made = makeActions({ count, seed });
      await simulator.addActions(made.actions);
      const parts = (async function* () {
        yield guidsToBytes(made.ids);
      })();
      await submitCampaign(tenant, { name, comment: 'test', now: Date.now() }, parts);
    },
    openOf: async (name) => {
      const number = await redis.hget(tenant.keys.campaigns, name);
      return Number(await redis.hget(tenant.keys.campaign(Number(number)), 'open'));
    },
  };
}

/** Waits for a notice, the only one of its kind about that campaign. */
export function noticeOf(
  { receiver, field }: Scene,
  kind: NoticeKind,
  campaign = 'field',
  withinMs?: number,
) {
  return eventually(() => {
    const fitting = receiver.received.filter(
      ({ notice }) => notice.kind === kind && notice.campaign === campaign,
    );
    assert.equal(fitting.length, 1, JSON.stringify(receiver.received.map(({ notice }) => notice)));
    assert.equal(fitting[0]?.notice.tenant, field.tenant.label);
    return fitting[0].notice;
  }, withinMs);
}

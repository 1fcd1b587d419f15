import { randomBytes } from 'node:crypto';
import { StanddownError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { type Timings, verifyLeaseFor } from '../config/timings.ts';
import { type Campaign, listCampaigns } from '../store/campaign/registry.ts';
import { defineScript } from '../store/script.ts';
import { giveBackLease, takeLease } from './leases.ts';
import { type VerifyDeps, verifyCampaign } from './verify.ts';

export interface VerifierDeps extends VerifyDeps {
  callTimeoutMs: number;
  timings: Timings;
  log: Logger;
  stopping: AbortSignal;
}

/** What was not final is read again for so long after the campaign's last outcome, in ms. */
const GIVE_UP_MS = 24 * 3_600_000;

/**
 * Notes how far a campaign is verified, unless it was deleted meanwhile.
 *
 * KEYS  1 campaign
 * ARGV  1 results that are verified, 2 when (ms since 1970), 3 how many are not final
 */
const noteScript = defineScript(
  'note-verified',
  /* lua */ `
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then
  redis.call('HSET', KEYS[1], 'verifiedResults', ARGV[1], 'verifiedAt', ARGV[2], 'unsettled', ARGV[3])
end
return {}
`,
);

/** Without the permission it is not tried again for so long, in ms: it is not granted within minutes. */
const NOT_PERMITTED_MS = 3_600_000;

/**
 * Verifies each campaign by itself once it is drained, and again while something of it is not final. One worker at a
 * time: two would only read the same twice.
 */
export function createVerifier(deps: VerifierDeps) {
  const { redis, keys, log, timings, wall } = deps;
  const leaseMs = verifyLeaseFor(timings, deps.callTimeoutMs);
  const me = randomBytes(6).toString('hex');
  let running: Promise<void> | null = null;
  let silentUntil = 0;

  async function run(): Promise<void> {
    const due = (await listCampaigns(redis, keys)).filter((campaign) => isDue(campaign, wall(), timings));
    if (due.length === 0) return;
    if (!(await takeLease(redis, keys.verifier, me, leaseMs))) return;
    try {
      for (const campaign of due) await verifyOne(campaign);
    } finally {
      await giveBackLease(redis, keys.verifier, me);
    }
  }

  async function verifyOne(campaign: Campaign): Promise<void> {
    const renew = async () => {
      await redis.set(keys.verifier, me, 'PX', leaseMs, 'XX');
    };
    const { noted, unsettled } = await verifyCampaign(deps, campaign, { onProgress: renew });
    const results = campaign.results + noted;
    await noteScript(redis, [keys.campaign(campaign.number)], [results, Math.floor(wall()), unsettled]);
    log.info({ campaign: campaign.name, read: noted, unsettled }, 'campaign verified');
  }

  function fail(err: unknown): void {
    if (deps.stopping.aborted) return;
    const isRefused = err instanceof StanddownError && err.code === 'NOT_PERMITTED';
    silentUntil = wall() + (isRefused ? NOT_PERMITTED_MS : timings.verifyFailedMs);
    log.warn({ err }, 'cannot verify campaigns; retrying later');
  }

  return {
    /** Begins to verify what is due, unless that is going on already. */
    look: (): void => {
      if (running || wall() < silentUntil) return;
      running = run()
        .catch(fail)
        .finally(() => {
          running = null;
        });
    },
    /** Waits for what is going on; the stop signal ends it. */
    stop: async (): Promise<void> => {
      await running;
    },
  };
}

export type Verifier = ReturnType<typeof createVerifier>;

/** Services have their results at once; only named campaigns are verified. */
function isDue(campaign: Campaign, now: number, { verifyAgainMs }: Timings): boolean {
  if (campaign.direct || campaign.total === 0 || campaign.open > 0) return false;
  const { verification } = campaign;
  if (verification === null || verification.results !== campaign.results) return true;
  const isRecent = now - (campaign.decidedAt ?? campaign.createdAt) < GIVE_UP_MS;
  return verification.unsettled > 0 && isRecent && now - verification.at >= verifyAgainMs;
}

import { forgetCampaign } from '../store/campaign/forget.ts';
import { directName, openDirectCampaign, readCampaign } from '../store/campaign/registry.ts';
import type { Keys } from '../store/keys.ts';
import type { DirectCampaign } from '../store/ledger/calls.ts';
import type { Ledger } from '../store/ledger/ledger.ts';
import type { RedisClient } from '../store/script.ts';

export interface DirectsDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
  /** Ms since 1970. */
  wall(): number;
}

/** Gives the day's campaign of single cancels. Its number is kept, and every script that uses it says whether it is still the one. */
export function createDirects(deps: DirectsDeps): () => DirectCampaign {
  const { redis, keys, wall } = deps;
  let known: { name: string; number: number | null; opening: Promise<number> } | null = null;

  async function open(name: string): Promise<number> {
    const { number } = await openDirectCampaign(redis, keys, wall(), name);
    const campaign = await readCampaign(redis, keys, number);
    if (campaign?.state !== 'deleted') return number;
    // It has the name until all of it is gone; whoever deletes it may have died over that.
    await forgetCampaign(deps, campaign, 0);
    return (await openDirectCampaign(redis, keys, wall(), name)).number;
  }

  function openOnce(name: string): Promise<number> {
    const mine = { name, number: null as number | null, opening: open(name) };
    known = mine;
    mine.opening.then(
      (number) => {
        mine.number = number;
      },
      () => {
        if (known === mine) known = null;
      },
    );
    return mine.opening;
  }

  return () => {
    const name = directName(wall());
    const current = () => (known?.name === name ? known : null);
    return {
      name,
      number: () => current()?.opening ?? openOnce(name),
      reopen: (gone) => {
        const kept = current();
        // Others may have found it gone before.
        return kept && kept.number !== gone ? kept.opening : openOnce(name);
      },
    };
  };
}

import type { Tenant } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import { type Campaign, readCampaign } from '../store/campaign/registry.ts';

/** By number, for a name may hold anything. @throws StanddownError CAMPAIGN_UNKNOWN */
export async function findByNumber({ redis, keys }: Tenant, number: string | undefined): Promise<Campaign> {
  const campaign = /^[1-9]\d{0,8}$/.test(number ?? '')
    ? await readCampaign(redis, keys, Number(number))
    : null;
  if (campaign && campaign.state !== 'deleted') return campaign;
  throw new StanddownError('CAMPAIGN_UNKNOWN', 'This campaign does not exist, or was deleted.');
}

/** Under which the console keeps what goes on with a campaign. */
export function taskKey(label: string, number: number): string {
  return `${label} ${number}`;
}

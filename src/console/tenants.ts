import { byLabel, type Changes, changesBetween } from '../app/fleet-changes.ts';
import type { Tenant } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import { createTenantLook, type TenantLook } from './tenant-look.ts';

/** A tenant that the console shows. */
export interface ShownTenant {
  label: string;
  config: Config;
  tenant: Tenant;
  /** How it stands; shared by all who look within a second. */
  look(): Promise<TenantLook>;
  /** The next look reads everything anew: something was changed here. */
  forget(): void;
}

export type Directory = ReturnType<typeof createDirectory>;

/** The tenants of the console, by label. Their number may change while it runs. */
export function createDirectory(open: (config: Config) => Tenant) {
  let shown = new Map<string, ShownTenant>();

  function show(config: Config): ShownTenant {
    const tenant = open(config);
    return { label: config.tenant ?? '', config, tenant, ...createTenantLook(tenant) };
  }

  return {
    /** In the order given. What is as it was stays: what is known of its past calls, too. */
    set: (configs: readonly Config[]): Changes => {
      const next = byLabel(configs);
      const changes = changesBetween(new Map([...shown].map(([label, { config }]) => [label, config])), next);
      const anew = new Set([...changes.added, ...changes.changed]);
      shown = new Map(
        [...next].map(([label, config]) => {
          const kept = anew.has(label) ? undefined : shown.get(label);
          return [label, kept ?? show(config)];
        }),
      );
      return changes;
    },
    all: (): ShownTenant[] => [...shown.values()],
    /** @throws StanddownError CAMPAIGN_UNKNOWN */
    find: (label: string): ShownTenant => {
      const found = shown.get(label);
      if (found) return found;
      throw new StanddownError('CAMPAIGN_UNKNOWN', `The console shows no tenant ${JSON.stringify(label)}.`);
    },
  };
}

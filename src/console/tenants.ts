import type { Tenant } from '../app.ts';
import type { Config } from '../config.ts';
import { StanddownError } from '../errors.ts';
import type { Changes } from '../fleet.ts';
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
    /** In the order given; all of them are opened anew. */
    set: (configs: readonly Config[]): Changes => {
      const before = new Set(shown.keys());
      shown = new Map(configs.map((config) => [config.tenant ?? '', show(config)]));
      const added = [...shown.keys()].filter((label) => !before.has(label));
      const removed = [...before].filter((label) => !shown.has(label));
      return { added, changed: [], removed };
    },
    all: (): ShownTenant[] => [...shown.values()],
    /** @throws StanddownError CAMPAIGN_UNKNOWN */
    find: (label: string): ShownTenant => {
      const found = shown.get(label);
      if (found) return found;
      throw new StanddownError('CAMPAIGN_UNKNOWN', `there is no tenant ${JSON.stringify(label)}`);
    },
  };
}

import { Secret } from '../base/secret.ts';
import type { Config } from '../config/config.ts';

/** Labels. */
export interface Changes {
  added: string[];
  changed: string[];
  removed: string[];
}

/** Tenants by label, in the order given. */
export function byLabel(configs: readonly Config[]): Map<string, Config> {
  return new Map(configs.map((config) => [config.tenant ?? '', config]));
}

/** What the tenants of `next` are against those of `before`. */
export function changesBetween(
  before: ReadonlyMap<string, Config>,
  next: ReadonlyMap<string, Config>,
): Changes {
  const labels = [...next.keys()];
  return {
    added: labels.filter((label) => !before.has(label)),
    changed: [...next].flatMap(([label, config]) => {
      const earlier = before.get(label);
      return earlier && fingerprint(earlier) !== fingerprint(config) ? [label] : [];
    }),
    removed: [...before.keys()].filter((label) => !next.has(label)),
  };
}

/** Secrets as they are: they are compared, and go nowhere. */
function fingerprint(config: Config): string {
  return JSON.stringify(config, function (this: Readonly<Record<string, unknown>>, name, value: unknown) {
    const secret = this[name];
    return secret instanceof Secret ? secret.reveal() : value;
  });
}

import { API_OPERATIONS, type ApiOperation } from './calls.ts';
import { createLimiter, type Judgement, type Limiter, type LimitMode, type Quota } from './limiter.ts';
import type { RefusalStyle } from './refusal.ts';

/** What limits the calls, and how a refusal looks. */
export interface LimitSettings extends RefusalStyle {
  /** Default `sliding`. */
  mode: LimitMode;
  /** Where `fixed` windows begin, in ms after the simulator's start. Default 0. */
  offsetMs: number;
  /** Default 100 per 60 s and 1,500 per 3,600 s; so for `get` and `list`. An empty list: no limit. */
  cancel: readonly Quota[];
  get: readonly Quota[];
  list: readonly Quota[];
  /** One quota, that of `cancel`, for all three operations. Default false. */
  sharedQuota: boolean;
  /** Whether refused calls use quota. Default false. */
  refusedCallsCount: boolean;
}

const DOCUMENTED: readonly Quota[] = [
  { max: 100, windowMs: 60_000 },
  { max: 1_500, windowMs: 3_600_000 },
];

export const DEFAULT_LIMITS: Readonly<LimitSettings> = {
  mode: 'sliding',
  offsetMs: 0,
  cancel: DOCUMENTED,
  get: DOCUMENTED,
  list: DOCUMENTED,
  sharedQuota: false,
  refusedCallsCount: false,
  retryAfter: 'seconds',
  code: 'TooManyRequests',
  message: 'full',
};

/** Changing one of these changes what is counted; the style of a refusal does not. */
const COUNTING = ['mode', 'offsetMs', 'cancel', 'get', 'list', 'sharedQuota', 'refusedCallsCount'] as const;

export interface Limits {
  /** Judges and counts an arrival; `nowMs` since the simulator's start. Each tenant has its own quotas. */
  judge(operation: ApiOperation, nowMs: number, tenantId: string): Judgement;
  /** Lets `n` calls of another client arrive; returns how many of them passed. */
  spend(operation: ApiOperation, n: number, nowMs: number, tenantId: string): number;
  /** Changes some settings. When they concern the counting, it begins anew. */
  set(patch: Partial<LimitSettings>): void;
  settings(): LimitSettings;
}

export function createLimits(initial: Partial<LimitSettings>): Limits {
  let settings: LimitSettings = { ...DEFAULT_LIMITS, ...initial };
  const limiters = new Map<string, Record<ApiOperation, Limiter>>();
  const judge = (operation: ApiOperation, nowMs: number, tenantId: string) => {
    const its = limiters.get(tenantId) ?? createLimiters(settings);
    limiters.set(tenantId, its);
    return its[operation].judge(nowMs);
  };
  return {
    judge,
    spend: (operation, n, nowMs, tenantId) => {
      let passed = 0;
      for (let call = 0; call < n; call += 1) passed += judge(operation, nowMs, tenantId).allowed ? 1 : 0;
      return passed;
    },
    set: (patch) => {
      settings = { ...settings, ...patch };
      if (COUNTING.some((name) => name in patch)) limiters.clear();
    },
    settings: () => settings,
  };
}

function createLimiters(settings: LimitSettings): Record<ApiOperation, Limiter> {
  const limiterFor = (operation: ApiOperation) => createLimiter({ ...settings, quotas: settings[operation] });
  const shared = settings.sharedQuota ? limiterFor('cancel') : null;
  const entries = API_OPERATIONS.map((operation) => [operation, shared ?? limiterFor(operation)]);
  return Object.fromEntries(entries) as Record<ApiOperation, Limiter>;
}

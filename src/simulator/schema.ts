import { z } from 'zod';
import type { Behaviour } from './behaviour.ts';
import { API_OPERATIONS, type ApiOperation, OPERATIONS } from './calls.ts';
import type { Fault, FaultRule } from './faults.ts';
import type { Quota } from './limiter.ts';
import type { LimitSettings } from './limits.ts';
import { MAX_PAGE_SIZE } from './listing.ts';
import type { SeedAction } from './machine-action.ts';
import type { PlainSimulatorOptions } from './options.ts';

/** What comes in as JSON, over HTTP or on the command line. Unknown names are mistakes. */

const count = z.int().min(0);
const ms = z.number().min(0);
const share = z.number().min(0).max(1);
const status = z.int().min(200).max(599);
const port = z.int().min(0).max(65_535);
const text = z.string().min(1);
const nullableText = z.string().nullable().exactOptional();

const quota: z.ZodType<Quota> = z.strictObject({ max: z.int().min(1), windowMs: z.number().positive() });
const quotas = z.array(quota).exactOptional();

export const limitsSchema: z.ZodType<Partial<LimitSettings>> = z.strictObject({
  mode: z.enum(['sliding', 'fixed', 'token-bucket']).exactOptional(),
  offsetMs: z.number().exactOptional(),
  cancel: quotas,
  get: quotas,
  list: quotas,
  sharedQuota: z.boolean().exactOptional(),
  refusedCallsCount: z.boolean().exactOptional(),
  retryAfter: z.enum(['seconds', 'http-date', 'none']).exactOptional(),
  code: z.enum(['TooManyRequests', '429']).exactOptional(),
  message: z.enum(['full', 'bare']).exactOptional(),
});

export const behaviourSchema: z.ZodType<Partial<Behaviour>> = z.strictObject({
  finalState: z.enum(['400', '200']).exactOptional(),
  cancelled: z.enum(['at-once', 'later']).exactOptional(),
  laterMs: ms.exactOptional(),
  permissionMustMatchType: z.boolean().exactOptional(),
  siblings: z.record(text, z.array(text)).exactOptional(),
  transient404Ms: ms.exactOptional(),
});

const applied = z.boolean().exactOptional();

const faultSchema: z.ZodType<Fault> = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('status'),
    status,
    code: z.string().exactOptional(),
    message: z.string().exactOptional(),
    retryAfter: z.union([z.number(), z.string()]).exactOptional(),
    applied,
  }),
  z.strictObject({ kind: z.literal('html'), status, body: z.string().exactOptional(), applied }),
  z.strictObject({ kind: z.literal('truncated'), how: z.enum(['closed', 'broken-json']), applied }),
  z.strictObject({ kind: z.literal('reset'), when: z.enum(['before', 'after']) }),
  z.strictObject({ kind: z.literal('hang'), applied }),
  z.strictObject({ kind: z.literal('slow'), ms }),
  z.strictObject({
    kind: z.literal('redirect'),
    status: status.exactOptional(),
    location: z.string().exactOptional(),
  }),
]);

export const faultRuleSchema: z.ZodType<FaultRule> = z.strictObject({
  operation: z.enum(OPERATIONS).exactOptional(),
  ids: z.array(text).exactOptional(),
  times: count.exactOptional(),
  perId: z.boolean().exactOptional(),
  rate: share.exactOptional(),
  counted: z.boolean().exactOptional(),
  fault: faultSchema,
});
export const faultRulesSchema = z.array(faultRuleSchema);

const seedActionSchema: z.ZodType<SeedAction> = z.strictObject({
  id: text,
  type: text.exactOptional(),
  title: nullableText,
  scope: nullableText,
  requestor: z.string().exactOptional(),
  requestorComment: z.string().exactOptional(),
  status: text.exactOptional(),
  machineId: z.string().exactOptional(),
  computerDnsName: z.string().exactOptional(),
  creationDateTimeUtc: z.iso.datetime().exactOptional(),
  lastUpdateDateTimeUtc: z.iso.datetime().exactOptional(),
  cancellationRequestor: nullableText,
  cancellationComment: nullableText,
  cancellationDateTimeUtc: z.iso.datetime().nullable().exactOptional(),
  errorHResult: z.number().exactOptional(),
  externalId: nullableText,
  requestSource: z.string().exactOptional(),
  commands: z.array(z.unknown()).exactOptional(),
  relatedFileInfo: z.unknown().optional(),
  troubleshootInfo: nullableText,
});
export const actionsSchema = z.array(seedActionSchema);

export const rolesSchema = z.array(text);
export const certificatesSchema = z.array(text);

export const loginSchema = z.strictObject({
  userCode: text,
  decision: z.enum(['approved', 'declined', 'expired']),
});
export const loginEndSchema = z.strictObject({ how: z.enum(['expired', 'revoked']) });

export const spendSchema: z.ZodType<{ operation: ApiOperation; n: number }> = z.strictObject({
  operation: z.enum(API_OPERATIONS),
  n: z.int().min(1).max(1_000_000),
});

export const callsQuerySchema = z.strictObject({
  since: z.coerce.number().int().min(0).default(0),
  id: text.optional(),
  verdict: text.optional(),
});
export const peakQuerySchema = z.strictObject({
  operation: z.enum(API_OPERATIONS),
  windowMs: z.coerce.number().positive(),
});
export const summaryQuerySchema = z.strictObject({ windowMs: z.coerce.number().positive().optional() });

export const optionsSchema: z.ZodType<PlainSimulatorOptions> = z.strictObject({
  dir: text,
  port: port.exactOptional(),
  authorityPort: port.exactOptional(),
  certificate: z.strictObject({ cert: text, key: text }).exactOptional(),
  signingKey: text.exactOptional(),
  tenantId: text.exactOptional(),
  otherTenantIds: z.array(text).exactOptional(),
  clientId: text.exactOptional(),
  clientSecret: text.exactOptional(),
  clientCertificate: text.exactOptional(),
  clientAuthority: text.exactOptional(),
  federation: z.strictObject({ issuer: text, subject: text, publicKey: text }).exactOptional(),
  isPublicClient: z.boolean().exactOptional(),
  user: z.strictObject({ id: text, name: text }).exactOptional(),
  deviceLogin: z
    .strictObject({
      intervalSeconds: count.exactOptional(),
      lifetimeSeconds: z.int().min(1).exactOptional(),
    })
    .exactOptional(),
  systemIdentity: text.nullable().exactOptional(),
  userIdentities: z.array(text).exactOptional(),
  scope: text.exactOptional(),
  roles: rolesSchema.exactOptional(),
  tokenLifetimeMs: z.number().min(1_000).exactOptional(),
  limits: limitsSchema.exactOptional(),
  behaviour: behaviourSchema.exactOptional(),
  faults: faultRulesSchema.exactOptional(),
  actions: actionsSchema.exactOptional(),
  pageSize: z.int().min(1).max(MAX_PAGE_SIZE).exactOptional(),
  seed: z.int().exactOptional(),
  latencyMs: z.strictObject({ min: ms, max: ms }).exactOptional(),
  slowShare: share.exactOptional(),
  slowMs: ms.exactOptional(),
});

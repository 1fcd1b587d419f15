/** A job's hash as it stands in Redis. */
export type RawJob = ReadonlyMap<string, string>;

/** Fields that BullMQ parses, without catching what that throws. */
const JSON_FIELDS = ['data', 'opts', 'progress', 'parent'] as const;

/** Fields that BullMQ counts up: one that is no number breaks its scripts in the middle. */
const COUNTERS = ['ats', 'atm', 'stc'] as const;

/** BullMQ's own keys of a queue: a job of such a name has its hash where one of them belongs. */
export const OWN_KEYS: Readonly<Record<string, 'list' | 'zset' | 'set' | 'string' | 'hash' | 'stream'>> = {
  wait: 'list',
  active: 'list',
  paused: 'list',
  delayed: 'zset',
  prioritized: 'zset',
  'waiting-children': 'zset',
  completed: 'zset',
  failed: 'zset',
  repeat: 'zset',
  marker: 'zset',
  stalled: 'set',
  'stalled-check': 'string',
  limiter: 'string',
  id: 'string',
  pc: 'string',
  meta: 'hash',
  events: 'stream',
};

export function isOwnKey(jobId: string): boolean {
  return Object.hasOwn(OWN_KEYS, jobId);
}

/** The fields of a reply to HGETALL. */
export function rawJob(reply: readonly unknown[]): RawJob {
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < reply.length; at += 2) fields.set(String(reply[at]), String(reply[at + 1]));
  return fields;
}

/** Why BullMQ could not work with this job, in words; null: it can. What the job asks for is not looked at. */
export function flawOf(fields: RawJob): string | null {
  for (const name of JSON_FIELDS) {
    const value = parsed(fields.get(name));
    if (value === undefined) return `${name}: not valid JSON`;
    if (name === 'opts' && !isObject(value)) return 'opts: not an object';
  }
  const counter = COUNTERS.find((name) => !/^-?\d{1,15}$/.test(fields.get(name) ?? '0'));
  if (counter !== undefined) return `${counter}: not a whole number`;
  return Number.isFinite(Number(fields.get('priority') ?? 0)) ? null : 'priority: not a number';
}

/** A field's value; undefined where it cannot be read. As BullMQ does, an empty one counts as an empty object. */
export function readField(fields: RawJob, name: (typeof JSON_FIELDS)[number]): unknown {
  return parsed(fields.get(name));
}

/** What to put in the place of what cannot be read, so that whoever looks at the finished job can. */
export function repairsOf(fields: RawJob): string[] {
  const repairs: string[] = [];
  for (const name of JSON_FIELDS) {
    const value = parsed(fields.get(name));
    if (value === undefined || (name === 'opts' && !isObject(value))) repairs.push(name, '{}');
  }
  for (const name of [...COUNTERS, 'priority']) if (fields.has(name)) repairs.push(name, '0');
  return repairs;
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text || '{}');
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

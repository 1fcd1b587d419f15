import type { Redis } from 'ioredis';

/** Something that may stand nowhere, by what it is called in a finding. */
export interface Needle {
  name: string;
  text: string;
}

export interface Haystack {
  where: string;
  /** Bytes as latin1, so that nothing is lost of what is no text. */
  text: string;
}

/** Shorter pieces would be found anywhere. */
const SHORTEST = 12;

/** A secret in all forms in which it might be kept: as it is, encoded for a URL, in JSON, in base64 from any byte on. */
export function needlesOf(name: string, secret: string): Needle[] {
  const forms = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)];
  forms.push(Buffer.from(secret).toString('hex'), ...inBase64(secret));
  return [...new Set(forms)].map((text) => ({ name, text }));
}

/** A token, and each of its parts. */
export function needlesOfToken(name: string, token: string): Needle[] {
  const parts = token.split('.').filter((part) => part.length >= SHORTEST);
  return [
    ...needlesOf(name, token),
    ...parts.flatMap((part, index) => needlesOf(`part ${index + 1} of ${name}`, part)),
  ];
}

/** The lines of a PEM file's private key. */
export function needlesOfKey(name: string, pem: string): Needle[] {
  const lines = pem.split('\n').filter((line) => line.length >= SHORTEST && !line.startsWith('-----'));
  return lines.flatMap((line, index) => needlesOf(`line ${index + 1} of ${name}`, line));
}

/** How base64 writes a text that begins at any of its three places, without what depends on the neighbours. */
function inBase64(text: string): string[] {
  return [0, 1, 2].flatMap((shift) => {
    const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(text)]);
    const whole = bytes
      .toString('base64')
      .replace(/=+$/, '')
      .slice(shift === 0 ? 0 : 4, -1);
    return whole.length < SHORTEST ? [] : [whole, whole.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** What was found where. */
export function findLeaks(haystacks: readonly Haystack[], needles: readonly Needle[]): string[] {
  const found = new Set<string>();
  for (const { where, text } of haystacks) {
    for (const needle of needles) if (text.includes(needle.text)) found.add(`${needle.name} in ${where}`);
  }
  return [...found];
}

/** Every key's name and everything in it. */
export async function dumpRedis(redis: Redis): Promise<Haystack[]> {
  const all: Haystack[] = [];
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key);
    // It has ended meanwhile.
    if (type === 'none') continue;
    all.push(
      { where: 'the name of a key', text: key },
      { where: `${type} ${key}`, text: await read(redis, type, key) },
    );
  }
  return all;
}

async function read(redis: Redis, type: string, key: string): Promise<string> {
  switch (type) {
    case 'string':
      return textOf(await redis.getBuffer(key));
    case 'hash':
      return textOf(await redis.callBuffer('HGETALL', key));
    case 'list':
      return textOf(await redis.lrangeBuffer(key, 0, -1));
    case 'set':
      return textOf(await redis.smembersBuffer(key));
    case 'zset':
      return textOf(await redis.zrangeBuffer(key, '0', '-1'));
    case 'stream':
      return textOf(await redis.xrangeBuffer(key, '-', '+'));
    default:
      throw new Error(`${key} is a ${type}, which nobody thought of`);
  }
}

function textOf(value: unknown): string {
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  return Array.isArray(value) ? value.map(textOf).join('\n') : '';
}

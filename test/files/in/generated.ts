import { guid } from './reading.ts';

/** Lists of any length: the text that stands at position `n`. */
const KINDS = {
  plain: (n: number) => `${guid(n)}\r\n`,
  'csv with records of two lines': (n: number) =>
    n === 0 ? '"id","note"\n' : `"${guid(n)}","a ""quoted"" note,\nin two lines"\n`,
  jsonl: (n: number) => `{"machineActionId":"${guid(n)}","computerDnsName":"host-${n}"}\n`,
  'csv whose first quote never closes': (n: number) =>
    n === 0 ? `id,note\n${guid(n)},"open\n` : `${guid(n)},x\n`,
  'csv with wide records': (n: number) => (n === 0 ? 'id,note\n' : `${guid(n)},${'x'.repeat(2000)}\n`),
  'csv with wide records and wrong ids': (n: number) =>
    n === 0 ? 'id,note\n' : `not-a-guid-at-all-${n},${'x'.repeat(2000)}\n`,
  'one line without end': () => 'x'.repeat(50),
  'one JSON string without end': (n: number) => (n === 0 ? `{"id":"${guid(0)}"}\n{"id":"` : 'x'.repeat(50)),
  'blank lines': () => `${' '.repeat(20)}\n`,
};

export type Kind = keyof typeof KINDS;

export const KIND_NAMES = Object.keys(KINDS).filter(isKind);

export function isKind(name: string): name is Kind {
  return Object.hasOwn(KINDS, name);
}

/** At least `size` bytes in chunks of about 50,000, made only when they are asked for; `tell` hears of each. */
export function* generated(kind: Kind, size: number, tell?: (bytes: number) => void): Generator<Buffer> {
  let n = 0;
  for (let sent = 0; sent < size; ) {
    let text = '';
    while (text.length < 50_000) text += KINDS[kind](n++);
    const chunk = Buffer.from(text);
    sent += chunk.length;
    tell?.(chunk.length);
    yield chunk;
  }
}

import { ID_BYTES } from './batch.ts';

const WORDS = ID_BYTES / 4;

/** No fuller than this, or a search for an id that is not there takes long. */
const MOST_FULL = 0.5;

/** Ids that came before: a table of their bytes, some 40 each. A million texts in a Set would take three times as much. */
export function createIdSet() {
  /** Four zeros: free. The id that is zeros itself is known apart. */
  let table = new Uint32Array(1_024 * WORDS);
  let size = 0;
  let hasZero = false;

  /** Whether the id was put in. */
  function put(a: number, b: number, c: number, d: number): boolean {
    const places = table.length / WORDS;
    // Its parts are mixed: ids that somebody made up may differ in a few bits only.
    let hash = 0;
    for (const word of [a, b, c, d]) hash = Math.imul(hash ^ word ^ (hash >>> 15), 0x9e3779b1);
    for (let place = ((hash ^ (hash >>> 16)) >>> 0) % places; ; place = (place + 1) % places) {
      const at = place * WORDS;
      const [w = 0, x = 0, y = 0, z = 0] = [table[at], table[at + 1], table[at + 2], table[at + 3]];
      if (w === a && x === b && y === c && z === d) return false;
      if ((w | x | y | z) !== 0) continue;
      table.set([a, b, c, d], at);
      return true;
    }
  }

  function grow(): void {
    const before = table;
    table = new Uint32Array(2 * before.length);
    for (let at = 0; at < before.length; at += WORDS) {
      const [a = 0, b = 0, c = 0, d = 0] = before.subarray(at, at + WORDS);
      if ((a | b | c | d) !== 0) put(a, b, c, d);
    }
  }

  /** Whether it is new. */
  function add(ids: Buffer, at: number): boolean {
    const word = (index: number) => ids.readUInt32BE(at + 4 * index);
    const [a, b, c, d] = [word(0), word(1), word(2), word(3)];
    if ((a | b | c | d) === 0) {
      const isNew = !hasZero;
      hasZero = true;
      return isNew;
    }
    if (!put(a, b, c, d)) return false;
    if (++size > (MOST_FULL * table.length) / WORDS) grow();
    return true;
  }

  return {
    /** Those of these ids (16 bytes each) that have not come before, each once. Takes them in. */
    fresh: (ids: Buffer): Buffer => {
      const fresh = Buffer.allocUnsafe(ids.length);
      let end = 0;
      for (let at = 0; at < ids.length; at += ID_BYTES)
        if (add(ids, at)) end += ids.copy(fresh, end, at, at + ID_BYTES);
      return fresh.subarray(0, end);
    },
  };
}

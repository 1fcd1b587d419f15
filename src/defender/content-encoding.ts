import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';

type Decode = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const inflated: Decode = promisify(inflate);
const inflatedRaw: Decode = promisify(inflateRaw);

/** Some servers leave out what `deflate` has around it by the standard; it begins with an 8 in the lower half of a byte. */
const deflated: Decode = (bytes, options) =>
  ((bytes[0] ?? 0) & 0x0f) === 8 ? inflated(bytes, options) : inflatedRaw(bytes, options);

const DECODERS: ReadonlyMap<string, Decode> = new Map<string, Decode>([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', deflated],
  ['br', promisify(brotliDecompress)],
]);

/** More layers than any honest answer has. */
const MOST_LAYERS = 2;

/** The encodings of a body in the order in which they were applied; none: it is as it is. */
export function encodingsIn(header: string | readonly string[] | undefined): string[] {
  return String(header ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity');
}

/**
 * Takes a body's encodings off.
 *
 * @param maxOutputLength a longer body is refused, in bytes: a few kB can hold gigabytes.
 * @throws whatever zlib does, ERR_BUFFER_TOO_LARGE for too much; an error of its own for an encoding that it does not know.
 */
export async function decodeBody(
  bytes: Buffer,
  encodings: readonly string[],
  maxOutputLength: number,
): Promise<Buffer> {
  if (encodings.length > MOST_LAYERS) throw new Error('the answer is compressed too many times');
  let body = bytes;
  for (const name of encodings.toReversed()) {
    const decode = DECODERS.get(name);
    if (!decode) throw new Error(`the answer has an unexpected content encoding: ${name.slice(0, 40)}`);
    body = await decode(body, { maxOutputLength });
  }
  return body;
}

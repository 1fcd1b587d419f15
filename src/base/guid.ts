import { StanddownError } from './errors.ts';

const GUID = '[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}';
const BARE = new RegExp(`^${GUID}$`);
/** `[\t-\r ]` is ASCII white space; quotes must match each other, and so must braces. */
const DRESSED = new RegExp(`^[\\t-\\r ]*(["']?)(?:\\{(${GUID})\\}|(${GUID}))\\1[\\t-\\r ]*$`);

/**
 * The canonical form (lower case, `8-4-4-4-12`) of a GUID as people paste it, or null when it is not one.
 *
 * Accepted: any case, ASCII white space around it, in braces, in single or double quotes, quotes around braces.
 * Nothing else: not in parentheses, no look-alike characters, nothing before or after. 32 digits without dashes are
 * refused too: they are as likely an MD5 hash or a token, and Defender never writes a machine action that way.
 */
export function parseGuid(text: string): string | null {
  if (BARE.test(text)) return text.toLowerCase();
  const match = DRESSED.exec(text);
  return (match?.[2] ?? match?.[3])?.toLowerCase() ?? null;
}

/**
 * The 16 bytes of a GUID in the order of its text (not Microsoft's mixed-endian layout), so that bytes sort as text does.
 *
 * @throws StanddownError `INTERNAL` when given anything but what {@link parseGuid} returned.
 */
export function guidToBytes(guid: string): Buffer {
  const hex = guid.slice(0, 8) + guid.slice(9, 13) + guid.slice(14, 18) + guid.slice(19, 23) + guid.slice(24);
  const bytes = Buffer.from(hex, 'hex');
  // Decoding stops at the first character that is no hex digit: a wrong one shows as too few bytes.
  if (guid.length !== 36 || bytes.length !== 16) throw new StanddownError('INTERNAL', 'not a canonical GUID');
  return bytes;
}

/** The bytes of many, in a row: as {@link guidToBytes}, without an object for each. */
export function guidsToBytes(guids: readonly string[]): Buffer {
  const bytes = Buffer.from(guids.join('').replaceAll('-', ''), 'hex');
  if (bytes.length !== 16 * guids.length) throw new StanddownError('INTERNAL', 'not canonical GUIDs');
  return bytes;
}

/**
 * The canonical text of the 16 bytes at `offset` (default 0).
 *
 * @throws StanddownError `INTERNAL` when there are fewer than 16 bytes.
 */
export function bytesToGuid(bytes: Buffer, offset = 0): string {
  const hex = bytes.toString('hex', offset, offset + 16);
  if (hex.length !== 32) throw new StanddownError('INTERNAL', `no 16 bytes at offset ${offset}`);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

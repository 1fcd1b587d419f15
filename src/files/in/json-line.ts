import { excerpt } from '../../base/foreign.ts';
import { either } from '../../base/words/list.ts';
import { findIdName, ID_NAMES } from './id-column.ts';
import { type IdLine, idLine, problemLine } from './id-line.ts';
import type { Line } from './lines.ts';

/** The id in a JSON object (see {@link ID_NAMES}) or a JSON string; nothing for a blank line. */
export function readJsonLine({ number, text, flaw }: Line, idKey?: string): IdLine | undefined {
  if (flaw !== undefined) return problemLine(number, flaw, text);
  if (text.trim() === '') return undefined;
  const value = parseJson(text);
  return value === undefined
    ? problemLine(number, 'not valid JSON', text)
    : readJsonValue(number, value, text, idKey);
}

/** The id in what was parsed; `text` is shown where there is none. */
export function readJsonValue(number: number, value: unknown, text: string, idKey?: string): IdLine {
  if (typeof value === 'string') return idLine(number, value, text);
  if (isObject(value)) return readObject(number, value, text, idKey);
  return problemLine(number, 'not a JSON object or string', text);
}

function readObject(line: number, object: Record<string, unknown>, text: string, idKey?: string): IdLine {
  const names = Object.keys(object);
  const found = findIdName(names, idKey);
  const missing = idKey === undefined ? `no id key (${either(ID_NAMES)})` : `no key ${excerpt(idKey, 40)}`;
  if (found === 'none') return problemLine(line, missing, text);
  if (found === 'twice') return problemLine(line, 'two id keys', text);
  const id = object[names[found] ?? ''];
  return typeof id === 'string' ? idLine(line, id, text) : problemLine(line, 'the id is not a string', text);
}

/** JSON has no undefined, so that stands for what is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

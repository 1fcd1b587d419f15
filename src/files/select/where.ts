import { StanddownError } from '../../base/errors.ts';
import { parseGuid } from '../../base/guid.ts';
import { nearest } from '../../base/misspelt.ts';
import { either } from '../../base/words/list.ts';
import { KNOWN_STATUSES, statusAs } from '../../defender/classify.ts';
import { parseTime } from './time.ts';

export type TextField = 'type' | 'status' | 'requestor' | 'machineId' | 'id';
export type TimeOperator = '>' | '>=' | '<' | '<=';

/** `=`: one of the values; `!=`: none of them. Types and statuses as Microsoft spells them, ids in lower case. */
export type Condition =
  | { field: TextField; operator: '=' | '!='; values: readonly string[] }
  /** Ms since 1970. */
  | { field: 'created'; operator: TimeOperator; at: number };

/** Which machine actions are meant: those for which every condition holds. */
export type Where = readonly Condition[];

/** Microsoft's lists, which grow: other values are taken as they are. */
export const KNOWN_TYPES: readonly string[] = [
  'RunAntiVirusScan',
  'Offboard',
  'LiveResponse',
  'CollectInvestigationPackage',
  'Isolate',
  'Unisolate',
  'StopAndQuarantineFile',
  'RestrictCodeExecution',
  'UnrestrictCodeExecution',
];

const FIELDS = ['type', 'status', 'requestor', 'machineId', 'created', 'id'] as const;
type Field = (typeof FIELDS)[number];

/** Sticky, so that nothing is skipped. What could be a slip (`type=Isolate,status=Pending`) is no bare value. */
const SPACE = /\s*/y;
const WORD = /[A-Za-z]+/y;
const OPERATOR = /!=|>=|<=|=|>|</y;
const QUOTED = /'((?:[^']|'')*)'|"((?:[^"]|"")*)"/y;
const BARE = /[^\s,'"=!<>()]+/y;

/**
 * Reads conditions such as `type=Isolate and status=Pending,InProgress and created>=-1h`.
 *
 * Conditions are joined by `and`. A comma between values means any of them. Values with spaces, commas or operators in them
 * stand in single or double quotes, in which a doubled quote is one. Times are ISO 8601 with `Z` or an offset, or relative
 * to now (`-90m`).
 *
 * @param nowMs ms since 1970.
 * @throws StanddownError USAGE that points at the column.
 */
export function parseWhere(text: string, nowMs: number): Where {
  const scanner = createScanner(text);
  const conditions: Condition[] = [];
  do conditions.push(readCondition(scanner, nowMs));
  while (readAnd(scanner));
  return conditions;
}

/** The known value that differs in case only, or the value itself. */
export function spelled(value: string, known: readonly string[]): string {
  return known.find((one) => one.toLowerCase() === value.toLowerCase()) ?? value;
}

/** What may be a slip of the pen: types and statuses that nobody has heard of. One sentence each. */
export function strangeValues(where: Where): string[] {
  return where.flatMap((condition) => {
    const known = KNOWN[condition.field];
    if (!known || condition.field === 'created') return [];
    const strange = condition.values.filter((value) => !known.includes(value));
    return strange.map((value) => {
      const meant = nearest(value, known);
      const advice = meant === null ? ` (known: ${known.join(', ')})` : `; did you mean ${meant}?`;
      return `unknown ${condition.field} ${JSON.stringify(value)}${advice}`;
    });
  });
}

const KNOWN: Partial<Record<Field, readonly string[]>> = { type: KNOWN_TYPES, status: KNOWN_STATUSES };

type Scanner = ReturnType<typeof createScanner>;

function createScanner(text: string) {
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  const skipSpace = () => {
    at += match(SPACE)?.[0].length ?? 0;
  };
  return {
    /** Where the next token begins. */
    place: () => {
      skipSpace();
      return at;
    },
    /** The next token where it is such a one; it is not taken. */
    peek: (pattern: RegExp) => {
      skipSpace();
      return match(pattern);
    },
    take: (token: RegExpExecArray) => {
      at += token[0].length;
    },
    takes: (symbol: ',') => {
      skipSpace();
      if (text[at] !== symbol) return false;
      at += 1;
      return true;
    },
    /** Whether something clings to the token that was taken last. */
    clings: () => at < text.length && !/[\s,]/.test(text[at] ?? ''),
    isAtEnd: () => {
      skipSpace();
      return at === text.length;
    },
    /** @param place default: here. */
    fail: (problem: string, place = at): never => {
      const shown = text.replace(/\p{C}/gu, ' ');
      const words = `--where, column ${place + 1}: ${problem}\n  ${shown}\n  ${' '.repeat(place)}^`;
      throw new StanddownError('USAGE', words, { context: { column: place + 1 } });
    },
  };
}

function readCondition(scanner: Scanner, nowMs: number): Condition {
  const field = readField(scanner);
  const place = scanner.place();
  const token = scanner.peek(OPERATOR);
  if (!token) return scanner.fail('expected an operator: =, !=, >, >=, < or <=');
  scanner.take(token);
  const operator = token[0];
  if (field === 'created') {
    if (operator === '=' || operator === '!=') {
      return scanner.fail('use >, >=, < or <= with created: a time never matches exactly', place);
    }
    return { field, operator: operator as TimeOperator, at: readTime(scanner, nowMs) };
  }
  if (operator !== '=' && operator !== '!=') return scanner.fail(`use = or != with ${field}`, place);
  const values: string[] = [];
  do values.push(readText(scanner, field));
  while (scanner.takes(','));
  return { field, operator, values };
}

function readField(scanner: Scanner): Field {
  const list = either(FIELDS);
  const place = scanner.place();
  const word = scanner.peek(WORD);
  if (!word) return scanner.fail(`expected a field: ${list}`);
  const field = FIELDS.find((name) => name.toLowerCase() === word[0].toLowerCase());
  if (!field) return scanner.fail(`unknown field "${word[0]}" (use ${list})`, place);
  scanner.take(word);
  return field;
}

function readAnd(scanner: Scanner): boolean {
  if (scanner.isAtEnd()) return false;
  const word = scanner.peek(WORD);
  if (word?.[0].toLowerCase() === 'or') {
    return scanner.fail(
      'join conditions with "and"; for several values of one field, write status=Pending,InProgress',
    );
  }
  if (word?.[0].toLowerCase() !== 'and')
    return scanner.fail('expected "and"; quote a value that contains spaces');
  scanner.take(word);
  return true;
}

function readValue(scanner: Scanner): { value: string; place: number } {
  const place = scanner.place();
  const token = scanner.peek(QUOTED) ?? scanner.peek(BARE);
  if (!token || token[0].toLowerCase() === 'and') {
    return scanner.fail(
      'expected a value; quote it if it contains spaces, commas, quotes or operators',
      place,
    );
  }
  scanner.take(token);
  if (scanner.clings()) return scanner.fail('quote a value that contains this character');
  const [all, single, double] = token;
  const value = single?.replaceAll("''", "'") ?? double?.replaceAll('""', '"') ?? all;
  if (!value.isWellFormed()) return scanner.fail('the value contains an invalid character', place);
  return { value, place };
}

function readText(scanner: Scanner, field: TextField): string {
  const { value, place } = readValue(scanner);
  if (field === 'id') {
    return parseGuid(value) ?? scanner.fail('not a machine action id (a GUID)', place);
  }
  return field === 'status' ? statusAs(value) : spelled(value, KNOWN[field] ?? []);
}

function readTime(scanner: Scanner, nowMs: number): number {
  const { value, place } = readValue(scanner);
  const time = parseTime(value, nowMs);
  if (typeof time === 'string') return scanner.fail(time, place);
  if (scanner.takes(',')) return scanner.fail('created takes a single time');
  return time;
}

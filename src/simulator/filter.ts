import { unreachable } from '../base/errors.ts';
import { dateKey, FilterError, type Token, tokenize } from './filter-tokens.ts';
import type { MachineAction } from './machine-action.ts';

export type Predicate = (action: MachineAction) => boolean;

type Compare = (left: string, right: string) => boolean;

interface Field {
  type: 'guid' | 'string' | 'date';
  read(action: MachineAction): string;
}

/** What the API can filter by. GUIDs and machine ids in any case, the rest exactly. */
const FIELDS: Readonly<Record<string, Field>> = {
  id: { type: 'guid', read: (action) => action.id },
  status: { type: 'string', read: (action) => action.status },
  machineId: { type: 'guid', read: (action) => action.machineId.toLowerCase() },
  type: { type: 'string', read: (action) => action.type },
  requestor: { type: 'string', read: (action) => action.requestor },
  creationDateTimeUtc: { type: 'date', read: (action) => dateKey(action.creationDateTimeUtc) },
};

const COMPARISONS: Readonly<Record<string, Compare>> = {
  eq: (left, right) => left === right,
  ne: (left, right) => left !== right,
  gt: (left, right) => left > right,
  ge: (left, right) => left >= right,
  lt: (left, right) => left < right,
  le: (left, right) => left <= right,
};

/** Deeper nesting is nobody's filter, and would only exhaust the stack. */
const MAX_DEPTH = 100;

/**
 * Reads an OData `$filter` over machine actions: comparisons, `in`, `and`, `or`, `not (…)` and parentheses.
 *
 * @throws FilterError when it is not understood.
 */
export function parseFilter(text: string): Predicate {
  const parser = createParser(tokenize(text));
  const predicate = parser.either(0);
  parser.end();
  return predicate;
}

/** Recursive descent: either → both → unary → comparison. */
function createParser(tokens: readonly Token[]) {
  let at = 0;

  const next = (): Token => {
    const token = tokens[at];
    if (!token) throw new FilterError('The filter ends too early.');
    at += 1;
    return token;
  };
  const takes = (kind: 'word' | 'symbol', text: string): boolean => {
    const token = tokens[at];
    const taken = token?.kind === kind && token.text === text;
    if (taken) at += 1;
    return taken;
  };
  const expect = (text: '(' | ')'): void => {
    if (!takes('symbol', text)) throw new FilterError(`'${text}' expected.`);
  };

  const either = (depth: number): Predicate => {
    const parts = [both(depth)];
    while (takes('word', 'or')) parts.push(both(depth));
    return (action) => parts.some((part) => part(action));
  };
  const both = (depth: number): Predicate => {
    const parts = [unary(depth)];
    while (takes('word', 'and')) parts.push(unary(depth));
    return (action) => parts.every((part) => part(action));
  };
  const unary = (depth: number): Predicate => {
    if (depth > MAX_DEPTH) throw new FilterError('The filter is nested too deeply.');
    // `not` binds tighter than a comparison: without parentheses it would negate a string.
    const negated = takes('word', 'not');
    if (negated) expect('(');
    else if (!takes('symbol', '(')) return comparison();
    const inner = either(depth + 1);
    expect(')');
    return negated ? (action) => !inner(action) : inner;
  };

  const comparison = (): Predicate => {
    const field = fieldOf(next());
    if (takes('word', 'in')) return membership(field);
    const compare = comparisonOf(next());
    const right = literalFor(field, next());
    return (action) => compare(field.read(action), right);
  };
  const membership = (field: Field): Predicate => {
    expect('(');
    const members = new Set([literalFor(field, next())]);
    while (takes('symbol', ',')) members.add(literalFor(field, next()));
    expect(')');
    return (action) => members.has(field.read(action));
  };

  const end = (): void => {
    if (at < tokens.length) throw new FilterError('The filter goes on where it should end.');
  };
  return { either, end };
}

function fieldOf(token: Token): Field {
  const known = token.kind === 'word' && Object.hasOwn(FIELDS, token.text);
  const field = known ? FIELDS[token.text] : undefined;
  if (!field) throw new FilterError(`${wording(token)} cannot be filtered by.`);
  return field;
}

function comparisonOf(token: Token): Compare {
  const known = token.kind === 'word' && Object.hasOwn(COMPARISONS, token.text);
  const compare = known ? COMPARISONS[token.text] : undefined;
  if (!compare) throw new FilterError(`${wording(token)} is no comparison.`);
  return compare;
}

/** Strings are quoted, dates are not; the one for the other is an error. */
function literalFor(field: Field, token: Token): string {
  if (field.type === 'date' && token.kind === 'date') return token.key;
  if (field.type === 'string' && token.kind === 'string') return token.value;
  if (field.type === 'guid' && token.kind === 'string') return token.value.toLowerCase();
  throw new FilterError(`${wording(token)} cannot be compared with a ${field.type}.`);
}

function wording(token: Token): string {
  switch (token.kind) {
    case 'word':
    case 'symbol':
      return `'${token.text}'`;
    case 'string':
      return `The string '${token.value}'`;
    case 'date':
      return `The date ${token.key}`;
    default:
      return unreachable(token);
  }
}

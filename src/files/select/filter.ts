import { StanddownError, unreachable } from '../../base/errors.ts';
import { type Action, FINAL_STATUSES } from '../../defender/classify.ts';
import type { Condition, TextField, TimeOperator, Where } from './where.ts';

/** Only actions that have not ended can be cancelled: meant, unless a status is named. */
export function withoutEnded(where: Where): Where {
  if (where.some(({ field }) => field === 'status')) return where;
  return [...where, { field: 'status', operator: '!=', values: FINAL_STATUSES }];
}

const COMPARISONS: Readonly<Record<TimeOperator | '=' | '!=', string>> = {
  '=': 'eq',
  '!=': 'ne',
  '>': 'gt',
  '>=': 'ge',
  '<': 'lt',
  '<=': 'le',
};

/** How long an address the API takes is not documented: no longer than with 100 ids, which it does take. */
const MAX_ENCODED = 6_000;

/**
 * The OData `$filter`: strings in single quotes, those in them doubled; times bare.
 *
 * @throws StanddownError USAGE where it would be too long.
 */
export function toFilter(where: Where): string {
  const filter = where.map(toComparison).join(' and ');
  if (encodeURIComponent(filter).length <= MAX_ENCODED) return filter;
  throw new StanddownError(
    'USAGE',
    '--where is too long for one call to the API; put the ids in a file instead',
  );
}

function toComparison(condition: Condition): string {
  const comparison = COMPARISONS[condition.operator];
  if (condition.field === 'created') {
    return `creationDateTimeUtc ${comparison} ${new Date(condition.at).toISOString()}`;
  }
  const { field, operator, values } = condition;
  const parts = values.map((value) => `${field} ${comparison} '${value.replaceAll("'", "''")}'`);
  if (operator === '!=') return parts.join(' and ');
  return parts.length === 1 ? parts.join() : `(${parts.join(' or ')})`;
}

/**
 * Whether an action is meant, judged here: what the server lists is not believed, for what is listed will be cancelled.
 * Texts are compared without regard to case, as some servers do; a missing one is an empty one.
 */
export function matches(where: Where, action: Action): boolean {
  return where.every((condition) => holds(condition, action));
}

function holds(condition: Condition, action: Action): boolean {
  if (condition.field === 'created') {
    return compares(condition.operator, Date.parse(action.summary.createdAt ?? ''), condition.at);
  }
  const actual = (textOf(action, condition.field) ?? '').toLowerCase();
  const isOne = condition.values.some((value) => value.toLowerCase() === actual);
  return condition.operator === '=' ? isOne : !isOne;
}

function compares(operator: TimeOperator, left: number, right: number): boolean {
  switch (operator) {
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    default:
      return unreachable(operator);
  }
}

function textOf(action: Action, field: TextField): string | null {
  switch (field) {
    case 'id':
      return action.id;
    case 'requestor':
      return action.requestor;
    case 'type':
    case 'status':
    case 'machineId':
      return action.summary[field];
    default:
      return unreachable(field);
  }
}

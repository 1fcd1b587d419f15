import type { HttpAnswer, NoAnswer } from '../../defender/exchange.ts';

/** What a call came to, as a label: what is told apart is what means something different. */
export const STATUSES = [
  '200',
  '400',
  '401',
  '403',
  '404',
  '429',
  '4xx',
  '5xx',
  'other',
  'lost',
  'unsent',
] as const;

export type Status = (typeof STATUSES)[number];

export function statusOf(answer: HttpAnswer | NoAnswer): Status {
  if (answer.kind !== 'answer') return answer.kind;
  const exact = STATUSES.find((status) => status === String(answer.status));
  if (exact) return exact;
  if (answer.status >= 500 && answer.status < 600) return '5xx';
  return answer.status >= 400 && answer.status < 500 ? '4xx' : 'other';
}

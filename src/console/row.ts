import type { Outcome } from '../base/outcome.ts';
import { withCode } from '../base/words/code.ts';
import type { OutcomeOrOpen } from '../files/report/tally.ts';
import type { ReportLine } from '../store/campaign/report.ts';

/** What the table of requests shows of one: a hundred thousand of them are kept, so nothing else. */
export interface Row {
  id: string;
  outcome: OutcomeOrOpen;
  device: string;
  type: string;
  status: string;
  /** The API's code for what it refused; empty: it gave none. */
  code: string;
  /** Code and message. */
  error: string;
  httpStatus: number;
  attempts: number;
  uncertain: boolean;
  /** Ms since 1970; 0: not yet. */
  decidedAt: number;
  /** Ms since 1970; 0: its action was not read again afterwards. */
  verifiedAt: number;
  /** The campaign that owns it, where that is another one; `(deleted)`: that is gone. */
  elsewhere: string;
}

const GONE = '(deleted)';

/** The campaign that owns a row's action, where that is another one; empty: it was deleted; null: this one does. */
export function ownerOf(elsewhere: string): string | null {
  if (elsewhere === '') return null;
  return elsewhere === GONE ? '' : elsewhere;
}

export function toRow(line: ReportLine, campaign: string): Row {
  const { action } = line;
  return {
    id: line.machineActionId,
    outcome: line.outcome ?? 'open',
    device: action?.computerDnsName ?? '',
    type: action?.type ?? '',
    status: action?.status ?? '',
    code: line.errorCode ?? '',
    error: withCode(line.errorCode, line.errorMessage),
    httpStatus: line.httpStatus ?? 0,
    attempts: line.attempts,
    uncertain: line.uncertain,
    decidedAt: line.decidedAt === null ? 0 : Date.parse(line.decidedAt),
    verifiedAt: line.verifiedAt === undefined ? 0 : Date.parse(line.verifiedAt),
    elsewhere: line.campaign === campaign ? '' : line.campaign || GONE,
  };
}

/** One of its own that has no outcome yet. */
export function openRow(id: string, more: Pick<Row, 'attempts' | 'uncertain'>): Row {
  return {
    id,
    outcome: 'open',
    device: '',
    type: '',
    status: '',
    code: '',
    error: '',
    httpStatus: 0,
    decidedAt: 0,
    verifiedAt: 0,
    elsewhere: '',
    ...more,
  };
}

/** As a report's sums take it. */
export function toTallied(row: Row, campaign: string) {
  const base = {
    campaign: row.elsewhere || campaign,
    uncertain: row.uncertain,
    action: { status: row.status || null, type: row.type || null },
    errorCode: row.code,
    ...(row.verifiedAt > 0 && { verifiedAt: row.verifiedAt }),
    ...(row.httpStatus > 0 && { httpStatus: row.httpStatus }),
  };
  if (row.outcome === 'open') return { ...base, outcome: null, decidedAt: null };
  return row.outcome === 'unknown'
    ? { ...base, outcome: row.outcome, decidedAt: null }
    : { ...base, outcome: row.outcome satisfies Outcome, decidedAt: row.decidedAt };
}

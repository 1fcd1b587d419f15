import type { ReportLine } from '../../store/campaign/report.ts';
import { outcomeLabel } from '../words/campaign.ts';
import { BOM, csvText } from './csv.ts';

/** Lines made into one text: fewer, larger writes. */
const BATCH = 250;

/** A JSON object a line. */
export async function* toJsonl(lines: AsyncIterable<ReportLine>): AsyncGenerator<string> {
  for await (const batch of inBatches(lines, BATCH)) {
    yield batch.map((line) => `${JSON.stringify(line)}\n`).join('');
  }
}

/** CSV with a header. @param hasBom whether it begins with a byte-order mark. */
export async function* toCsv(lines: AsyncIterable<ReportLine>, hasBom: boolean): AsyncGenerator<string> {
  yield `${hasBom ? BOM : ''}${csvText([COLUMNS])}`;
  for await (const batch of inBatches(lines, BATCH)) yield csvText(batch.map(flatten));
}

/** Lines, so many at a time. */
export async function* inBatches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    if (batch.push(item) < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

const COLUMNS = [
  'machineActionId',
  'outcome',
  'httpStatus',
  'errorCode',
  'errorMessage',
  'correlationId',
  'actionStatus',
  'actionType',
  'machineId',
  'computerDnsName',
  'actionCreatedAt',
  'actionUpdatedAt',
  'attempts',
  'uncertain',
  'campaign',
  'requestedBy',
  'requestedAt',
  'decidedAt',
  'verifiedAt',
];

function flatten(line: ReportLine): (string | number | boolean | null | undefined)[] {
  const { action } = line;
  return [
    line.machineActionId,
    outcomeLabel(line.outcome),
    line.httpStatus,
    line.errorCode,
    line.errorMessage,
    line.correlationId,
    action?.status,
    action?.type,
    action?.machineId,
    action?.computerDnsName,
    action?.createdAt,
    action?.updatedAt,
    line.attempts,
    line.uncertain,
    line.campaign,
    line.requestedBy,
    line.requestedAt,
    line.decidedAt,
    line.verifiedAt,
  ];
}

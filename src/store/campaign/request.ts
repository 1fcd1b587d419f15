import { StanddownError } from '../../base/errors.ts';
import { guidToBytes, parseGuid } from '../../base/guid.ts';
import type { CancelResult } from '../../base/outcome.ts';
import { campaignIn } from '../../base/words/name.ts';
import { type Attempt, readAttempts } from '../ledger/attempts.ts';
import type { Campaign } from './registry.ts';
import { eachResult, type ReportDeps, type ReportLine, reportIds } from './report.ts';

/** One request of a campaign. */
export interface RequestNow {
  /** As a report has it. */
  line: ReportLine;
  /** Calls for it that decided nothing, oldest first. */
  attempts: Attempt[];
}

/**
 * Reads how one request of a campaign stands.
 *
 * @param text its machine action id, as a person wrote it.
 * @throws StanddownError USAGE when that is none, INPUT_INVALID when it is none of this campaign.
 */
export async function readRequest(deps: ReportDeps, campaign: Campaign, text: string): Promise<RequestNow> {
  const { redis, keys, ledger } = deps;
  const { number, name } = campaign;
  const id = parseGuid(text);
  if (id === null)
    throw new StanddownError('USAGE', `${JSON.stringify(text)} is not a machine action id (a GUID)`);
  const bytes = guidToBytes(id);
  const [[record], isElsewhere] = await Promise.all([
    ledger.look(bytes, number),
    redis.sismember(keys.elsewhere(number), bytes),
  ]);
  if (record?.campaign !== number && isElsewhere !== 1)
    throw new StanddownError('INPUT_INVALID', `action ${id} is not in ${campaignIn(name, keys.tenant)}`);
  const [lines, attempts] = await Promise.all([
    reportIds(deps, campaign, bytes),
    readAttempts(redis, keys, number, bytes),
  ]);
  return { line: lines[0] as ReportLine, attempts };
}

/** Every outcome and verification that a campaign's results have of an id, oldest first: goes through all of them. */
export async function findResults(
  deps: Pick<ReportDeps, 'redis' | 'keys'>,
  campaign: Campaign,
  id: string,
): Promise<CancelResult[]> {
  const found: CancelResult[] = [];
  for await (const { result } of eachResult(deps, campaign, 0))
    if (result.machineActionId === id) found.push(result);
  return found;
}

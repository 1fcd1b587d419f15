/** A machine action as the API shows it. Times are ISO 8601 in UTC. */
export interface MachineAction {
  /** Lower-case GUID. */
  id: string;
  type: string;
  title: string | null;
  scope: string | null;
  requestor: string;
  requestorComment: string;
  /** Pending, InProgress, Succeeded, Failed, TimeOut or Cancelled; the list grows, so any text is taken. */
  status: string;
  machineId: string;
  computerDnsName: string;
  creationDateTimeUtc: string;
  lastUpdateDateTimeUtc: string;
  cancellationRequestor: string | null;
  cancellationComment: string | null;
  cancellationDateTimeUtc: string | null;
  errorHResult: number;
  externalId: string | null;
  requestSource: string;
  commands: unknown[];
  relatedFileInfo: unknown;
  troubleshootInfo: string | null;
}

/** What `addActions` takes: an id, and whatever of the rest matters. */
export type SeedAction = Pick<MachineAction, 'id'> & Partial<MachineAction>;

const ENDED: ReadonlySet<string> = new Set(['Succeeded', 'Failed', 'TimeOut', 'Cancelled']);

/** Whether an action in this status can no longer be cancelled. */
export function isFinal(status: string): boolean {
  return ENDED.has(status);
}

/** Fills in what a seed leaves out: a pending antivirus scan, created now. */
export function completeAction(seed: SeedAction, wallMs: number): MachineAction {
  const createdAt = seed.creationDateTimeUtc ?? new Date(wallMs).toISOString();
  return {
    type: 'RunAntiVirusScan',
    title: null,
    scope: 'Full',
    requestor: 'analyst@contoso.example',
    requestorComment: 'Requested for a test',
    status: 'Pending',
    machineId: '0'.repeat(40),
    computerDnsName: 'machine.contoso.example',
    creationDateTimeUtc: createdAt,
    lastUpdateDateTimeUtc: createdAt,
    cancellationRequestor: null,
    cancellationComment: null,
    cancellationDateTimeUtc: null,
    errorHResult: 0,
    externalId: null,
    requestSource: 'Public API',
    commands: [],
    relatedFileInfo: null,
    troubleshootInfo: null,
    ...seed,
    id: seed.id.toLowerCase(),
  };
}

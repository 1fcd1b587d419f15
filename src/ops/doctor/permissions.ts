import { describeLack } from '../../base/words/permissions.ts';
import type { Credential } from '../../config/sign-in.ts';
import { CANCEL_ROLES, mayRead, READ_ROLES, READ_SCOPES, strangeAudience } from '../../defender/roles.ts';
import { PAUSE_AFTER_REFUSALS } from '../../store/ledger/brake.ts';
import { type Finding, findingsOf } from './finding.ts';

const permissions = findingsOf('permissions');

/** Where permissions are given: an identity of Azure has no app registration. */
function whereOf(kind: Credential['kind']): string {
  if (kind === 'managed')
    return "as an app role of WindowsDefenderATP, assigned to the identity's service principal with PowerShell or Microsoft Graph";
  const which = kind === 'login' ? 'delegated' : 'application';
  return `in the app registration: API permissions, WindowsDefenderATP, ${which} permissions; then grant admin consent`;
}

/** Whether what a token carries suffices. @param roles null: it cannot be read. */
export function judgeRoles(roles: readonly string[] | null, kind: Credential['kind']): Finding[] {
  if (roles === null) {
    return [
      permissions.warning({
        finding: 'The token cannot be read',
        meaning: 'Its permissions are unknown until a call is refused.',
        advice: 'Start with a campaign of one action.',
      }),
    ];
  }
  const reading = kind === 'login' ? READ_SCOPES : READ_ROLES;
  return [judgeCancel(roles, whereOf(kind)), judgeRead(roles, reading, whereOf(kind))];
}

/** What a token's audience says: no more than a hint. */
export function judgeAudience(accessToken: string, apiUrl: string): Finding[] {
  const audience = strangeAudience(accessToken, apiUrl);
  if (audience === null) return [];
  return [
    permissions.warning({
      finding: `The token is for the audience ${audience}`,
      meaning:
        'This may be another API. Entra issues tokens for other APIs, too, but Defender refuses every call with them (403).',
      advice: 'Remove DEFENDER_SCOPE, or correct it.',
    }),
  ];
}

function judgeCancel(roles: readonly string[], where: string): Finding {
  const held = CANCEL_ROLES.filter((role) => roles.includes(role));
  const wanted = CANCEL_ROLES.filter((role) => role !== 'Machine.CollectForensic');
  if (held.length === 0) {
    return permissions.problem({
      finding: `The token ${describeLack(roles, 'cancel')}`,
      meaning: `Every cancel will be refused (403). After ${PAUSE_AFTER_REFUSALS} refusals in a row a campaign is paused.`,
      advice: `Grant one of ${wanted.join(', ')} (${where}).`,
    });
  }
  const isPartial = held.length < wanted.length;
  return permissions.ok({
    finding: `Permission to cancel: ${held.join(', ')}`,
    meaning: isPartial
      ? 'Microsoft does not document whether the permission must match the type of the action. Start with a campaign of one action.'
      : '',
  });
}

function judgeRead(roles: readonly string[], wanted: readonly string[], where: string): Finding {
  if (mayRead(roles)) {
    const isNewest = roles.some((role) => role.startsWith('Machine.ReadWrite'));
    return permissions.ok({
      finding: 'Permission to read machine actions',
      meaning: isNewest
        ? ''
        : `If reading is refused, grant ${wanted.at(-1)}: Microsoft's newest documentation names only that permission.`,
    });
  }
  return permissions.warning({
    finding: 'No permission to read machine actions',
    meaning:
      'Cancelling works. Not available: select, previews, verify, and skipping actions that have already finished (PRECHECK).',
    advice: `To use them, grant ${wanted.join(' or ')} (${where}).`,
  });
}

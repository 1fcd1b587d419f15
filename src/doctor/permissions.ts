import { CANCEL_ROLES, mayRead, READ_ROLES, READ_SCOPES, strangeAudience } from '../defender/roles.ts';
import type { Credential } from '../sign-in-config.ts';
import { type Finding, findingsOf } from './finding.ts';

const permissions = findingsOf('permissions');

/** Where permissions are given: an identity of Azure has no app registration. */
function whereOf(kind: Credential['kind']): string {
  if (kind === 'managed')
    return "as an app role of WindowsDefenderATP, to the identity's service principal, by PowerShell or Microsoft Graph";
  const which = kind === 'login' ? 'delegated' : 'application';
  return `API permissions of the app registration, WindowsDefenderATP, ${which} permissions; then grant admin consent`;
}

/** Whether what a token carries suffices. @param roles null: it cannot be read. */
export function judgeRoles(roles: readonly string[] | null, kind: Credential['kind']): Finding[] {
  if (roles === null) {
    return [
      permissions.warning({
        finding: 'the token cannot be read',
        meaning: 'Its permissions show only when a call is refused.',
        advice: 'Begin with a file of one id.',
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
      finding: `the token is for the audience ${audience}`,
      meaning:
        'That may be another API. A token for another one is given out without trouble, and every call is refused (403).',
      advice: 'Take DEFENDER_SCOPE out, or correct it.',
    }),
  ];
}

function judgeCancel(roles: readonly string[], where: string): Finding {
  const held = CANCEL_ROLES.filter((role) => roles.includes(role));
  const wanted = CANCEL_ROLES.filter((role) => role !== 'Machine.CollectForensic');
  if (held.length === 0) {
    const carried = roles.length === 0 ? 'nothing' : roles.join(', ');
    return permissions.problem({
      finding: `the token permits ${carried}: no cancel`,
      meaning: 'Every cancel is refused (403); after 20 in a row a campaign is paused.',
      advice: `Add one of ${wanted.join(', ')} (${where}).`,
    });
  }
  const isPartial = held.length < wanted.length;
  return permissions.ok({
    finding: `may cancel: ${held.join(', ')}`,
    meaning: isPartial
      ? 'Microsoft does not say whether the permission has to match the type of action: begin with a file of one id.'
      : '',
  });
}

function judgeRead(roles: readonly string[], wanted: readonly string[], where: string): Finding {
  if (mayRead(roles)) {
    const isNewest = roles.some((role) => role.startsWith('Machine.ReadWrite'));
    return permissions.ok({
      finding: 'may read machine actions',
      meaning: isNewest
        ? ''
        : `Microsoft's newest pages name ${wanted.at(-1)} only: whether ${wanted[0]} still suffices shows when it is used.`,
    });
  }
  return permissions.warning({
    finding: 'may not read machine actions',
    meaning:
      'Cancelling works; select, previews, verify and the look at the next ids before their turn do not.',
    advice: `To have them, add ${wanted.join(' or ')} (${where}).`,
  });
}

import { shellWord } from '../foreign.ts';

/* How a campaign is named, in sentences and in commands. */

/** A name in quotes, whatever it holds. */
export function quoted(name: string): string {
  return JSON.stringify(name);
}

/** `campaign "stop-scan" in tenant contoso` */
export function campaignIn(name: string, tenant: string): string {
  return `campaign ${quoted(name)} in tenant ${tenant}`;
}

/** The same at the beginning of a line. */
export function titled(name: string, tenant: string): string {
  return `Campaign ${quoted(name)} in tenant ${tenant}`;
}

/** A command about a campaign, to be copied from a message: `standdown resume stop-scan --tenant contoso`. */
export function commandFor(verb: string, name: string, tenant: string, options = ''): string {
  return `standdown ${verb} ${shellWord(name)}${options === '' ? '' : ` ${options}`} --tenant ${tenant}`;
}

/** As `commandFor` writes it after `run`, in quotes: the verb, the campaign and options. */
const COMMAND =
  /\brun "standdown (resume|retry) (?:[\w@%+=:,./-]+|'[^']*'(?:\\''[^']*')*)((?: --[\w-]+| [a-z_]+)*?) --tenant [^\s"]+"/g;

/** A text for a page of the console: where it names a command for which the page has a button, it names the button. */
export function withButtons(text: string): string {
  return text.replace(COMMAND, (_, verb: string, options: string) => {
    const button = `select ${verb.charAt(0).toUpperCase()}${verb.slice(1)}`;
    return options.includes('--accept-refusals') ? `${button} and "Accept refusals"` : button;
  });
}

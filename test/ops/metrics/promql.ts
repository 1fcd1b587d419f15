/** What a PromQL expression speaks of, as far as telling names apart takes. */
export interface Mentions {
  metrics: string[];
  /** Labels that it selects, groups or joins by. */
  labels: string[];
  /** What labels are compared with; alternatives of a pattern each by itself. */
  values: [label: string, value: string][];
}

const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'group_left', 'group_right']);

export function mentionsOf(expression: string): Mentions {
  const found: Mentions = { metrics: [], labels: [], values: [] };
  const bare = expression
    .replaceAll(/\{([^}]*)\}/g, (_, selector: string) => {
      for (const [, label = '', value = ''] of selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g)) {
        found.labels.push(label);
        found.values.push(...value.split('|').map((one): [string, string] => [label, one]));
      }
      return ' ';
    })
    .replaceAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g, (_, labels: string) => {
      found.labels.push(...labels.split(',').map((label) => label.trim()));
      return ' ';
    })
    .replaceAll(/\[[^\]]*\]/g, ' ');
  for (const [, name = '', call] of bare.matchAll(/(?<![\w.])([a-zA-Z_:][\w:]*)(\s*\()?/g)) {
    if (call === undefined && !WORDS.has(name)) found.metrics.push(name);
  }
  return found;
}

/** 12345 as 12,345. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** A share in percent; none that is there looks like nothing, and none that is not looks like everything. */
export function percent(part: number, whole: number): string {
  if (part === 0 || whole === 0) return '0 %';
  const share = (100 * part) / whole;
  if (share < 0.1) return '< 0.1 %';
  return part < whole && share > 99.9 ? '> 99.9 %' : `${Number(share.toFixed(1))} %`;
}

/** A time to the second, which everybody reads alike. @param ms since 1970. */
export function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** 12345 as 12,345. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 action`, `1,234 actions`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A share in percent, rounded to a tenth: `0%` only for nothing, `100%` only for everything. */
export function percent(part: number, whole: number): string {
  if (part === 0 || whole === 0) return '0%';
  const share = (100 * part) / whole;
  if (share < 0.1) return '< 0.1%';
  return part < whole && share > 99.9 ? '> 99.9%' : `${Number(share.toFixed(1))}%`;
}

/** Whether a stream's entry comes after another, by their ids: two numbers of 64 bits. */
export function isAfter(id: string, other = '0-0'): boolean {
  const [time = 0n, number = 0n] = id.split('-').map(BigInt);
  const [otherTime = 0n, otherNumber = 0n] = other.split('-').map(BigInt);
  return time > otherTime || (time === otherTime && number > otherNumber);
}

/** A stream that has had it takes no further entry. */
export const GREATEST_ID = '18446744073709551615-18446744073709551615';
